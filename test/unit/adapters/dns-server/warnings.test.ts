import { describe, expect, it } from "vitest";
import { Warnings } from "../../../../src/adapters/dns-server/thread/warnings.ts";

describe("what whoever asks can make us say", () => {
  it("is five lines of one sender and sixty of all in a minute, and a count of the rest", () => {
    const told: unknown[] = [];
    let now = 0;
    const warnings = new Warnings(
      (message, fields) => told.push([message, fields]),
      () => now,
    );
    for (let count = 0; count < 100; count += 1) warnings.add("10.0.0.1", `key ${count % 50}`, { from: "10.0.0.1" });
    expect(told).toHaveLength(5);
    warnings.add("10.0.0.2", "key 1");
    expect(told.at(-1)).toEqual(["key 1", { leftOut: 90 }]);
    for (let count = 0; count < 200; count += 1) warnings.add(`10.0.1.${count}`, "key 1");
    expect(told).toHaveLength(60);
    now = 60_000;
    warnings.add("10.0.0.1", "key 0");
    expect(told.at(-1)).toEqual(["key 0", { leftOut: 146 }]);
  });
});
