import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalJson } from "../../../src/lib/canonical-json.ts";

/** The same value with the members of every object inserted in another order. */
function shuffled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shuffled);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, inner]) => [key, shuffled(inner)]),
  );
}

describe("canonicalJson", () => {
  it("sorts members by UTF-16 code units, as the example of RFC 8785 §3.2.3 does", () => {
    const members = { "\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\ud83d\ude00": 5, "\u0080": 6, "\u00f6": 7 };
    const sorted = '{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\ud83d\ude00":5,"\ufb33":3}';
    expect(canonicalJson(members)).toBe(sorted);
  });

  it("prints numbers as RFC 8785 appendix B does", () => {
    const numbers = JSON.parse(
      "[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001,-0,1e21,9007199254740993]",
    );
    expect(canonicalJson(numbers)).toBe("[333333333.3333333,1e+30,4.5,0.002,1e-27,0,1e+21,9007199254740992]");
  });

  it("gives JSON of an equal value, whatever order the members came in", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(shuffled(value))).toBe(text);
      }),
    );
  });

  it("leaves out members that are undefined, as a JSON round trip does", () => {
    const value = { b: undefined, a: { c: undefined, d: [] } };
    expect(canonicalJson(value)).toBe(canonicalJson(JSON.parse(JSON.stringify(value))));
  });

  it.each([
    ["NaN", Number.NaN],
    ["infinity", Number.POSITIVE_INFINITY],
    ["undefined in a list", [undefined]],
    ["a function", () => 1],
    ["a bigint", 1n],
    ["a Map", new Map()],
    ["a Date", new Date(0)],
  ])("refuses %s as a bug of the caller", (_, value) => {
    expect(() => canonicalJson({ value })).toThrow(/canonical JSON/);
  });
});
