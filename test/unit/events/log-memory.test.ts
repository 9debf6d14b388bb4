import { describe, expect, it } from "vitest";
import { memoryLog } from "../../../src/events/log-memory.ts";
import { describeLogContract } from "./log-contract.ts";

describeLogContract("the in-memory log", async () => memoryLog());

describe("memoryLog", () => {
  it("has the identity it is given", () => {
    expect(memoryLog({ instanceId: "0123456789abcdef" }).instanceId).toBe("0123456789abcdef");
  });
});
