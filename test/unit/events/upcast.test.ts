import { describe, expect, it } from "vitest";
import { EVENT_TYPES } from "../../../src/events/index.ts";
import { UPCASTERS, type Upcaster, upcastChain } from "../../../src/events/upcast.ts";

const TYPES = { "port.opened": { v: 3 }, "port.closed": { v: 1 } };
const first: Upcaster = { type: "port.opened", from: 1, up: (data) => ({ ...(data as object), protocol: "tcp" }) };
const second: Upcaster = { type: "port.opened", from: 2, up: (data) => ({ opened: data }) };

describe("upcastChain", () => {
  it("lifts data one step at a time from any version to the current one", () => {
    const upcast = upcastChain(TYPES, [second, first]);
    expect(upcast("port.opened", 1, { port: 80 })).toEqual({ opened: { port: 80, protocol: "tcp" } });
    expect(upcast("port.opened", 2, { port: 80 })).toEqual({ opened: { port: 80 } });
    expect(upcast("port.opened", 3, { port: 80 })).toEqual({ port: 80 });
    expect(upcast("port.closed", 1, { port: 80 })).toEqual({ port: 80 });
  });

  it.each([
    ["a step is missing at the beginning", [second], /no upcaster for "port.opened" from 1/],
    ["a step is missing at the end", [first], /no upcaster for "port.opened" from 2/],
    ["there are two of a step", [first, second, { ...first }], /two upcasters/],
    ["a step leads beyond the current version", [first, second, { ...second, from: 3 }], /leads nowhere/],
    ["a step begins before the first version", [first, second, { ...second, from: 0 }], /leads nowhere/],
    ["a type is not known", [first, second, { ...first, type: "port.moved" }], /no event type/],
  ])("refuses a registry in which %s", (_, upcasters, message) => {
    expect(() => upcastChain(TYPES, upcasters)).toThrow(message);
  });

  it("finds the program's own registry in order", () => {
    expect(() => upcastChain(EVENT_TYPES, UPCASTERS)).not.toThrow();
  });
});
