import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  below,
  type DomainName,
  formatName,
  isAtOrBelow,
  isWildcard,
  isWithin,
  labelsOf,
  NAME_OCTETS_MAX,
  type NameKey,
  nameOf,
  nameText,
  parentOf,
  parseName,
  ROOT,
  suffixesOf,
  wildcardOf,
} from "../../../src/lib/domain-name.ts";

const SEED = 5001;
const name = (text: string): DomainName => parseName(text) as DomainName;
const key = (text: string): NameKey => name(text).key;

/** Any octets there may be in a name. */
const anyName = fc
  .array(fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 1, maxLength: 63 }), { maxLength: 12 })
  .map((labels) => `${labels.map((each) => String.fromCharCode(each.length, ...each)).join("")}\0`)
  .filter((wire) => wire.length <= NAME_OCTETS_MAX)
  .map(nameOf);

describe("a domain name", () => {
  it("[dns W8] of any octets is text and the same octets again", () => {
    fc.assert(
      fc.property(anyName, (each) => {
        const text = formatName(each);
        expect(text).toMatch(/^[!-~]+$/);
        expect(parseName(text)).toEqual(each);
        expect(text === "." || parseName(`${text}.`)?.wire === each.wire).toBe(true);
      }),
      { seed: SEED, numRuns: 300 },
    );
  });

  it("[dns W8] keeps its case, and is compared without it, A to Z only", () => {
    expect(formatName(name("WWW.Example"))).toBe("WWW.Example");
    expect(key("WWW.Example")).toBe(key("www.eXAMPLE."));
    expect(nameText("WWW.Example.")).toBe("www.example");
    expect(key("\\196.x")).not.toBe(key("\\228.x"));
  });

  it("[dns W8] may hold a dot, a backslash, a quote, a space and a zero", () => {
    expect(labelsOf(name("a\\.b.c\\\\d").wire)).toEqual(["a.b", "c\\d"]);
    expect(formatName(name("a\\.b\\000\\032\\@.c"))).toBe("a\\.b\\000\\032\\@.c");
    expect(labelsOf(name("a\\ b").wire)).toEqual(["a b"]);
  });

  it("[dns W8] as text is below the same names as its octets are", () => {
    fc.assert(
      fc.property(anyName, anyName, ({ key: one }, { key: other }) => {
        const above: string[] = [];
        for (let at: NameKey | null = one; at !== null && at !== ROOT.key; at = parentOf(at))
          above.push(formatName(at));
        expect([...suffixesOf(formatName(one))]).toEqual(one === ROOT.key ? ["."] : above);
        for (const zone of [other, ...above.map(key)].filter((each) => each !== ROOT.key)) {
          expect(isWithin(formatName(one), formatName(zone))).toBe(isAtOrBelow(one, zone));
        }
      }),
      { seed: SEED, numRuns: 300 },
    );
    expect(isWithin("a\\.example", "example")).toBe(false);
    expect(isWithin("a\\\\.example", "example")).toBe(true);
  });

  it.each(["", "..", ".a", "a..b", "a\\", "a\\25", "a\\256", "a b", "a\tb", "bücher.example", "a\\\n", "a".repeat(64)])(
    "%j is none",
    (text) => expect(parseName(text)).toBeNull(),
  );

  it("[dns W5] has labels of at most 63 octets and at most 255 in all", () => {
    const label = "a".repeat(63);
    expect(parseName(`${label}.${label}.${label}.${"b".repeat(61)}`)?.wire.length).toBe(255);
    expect(parseName(`${label}.${label}.${label}.${"b".repeat(62)}`)).toBeNull();
  });

  it("knows what is above and below it, by whole labels", () => {
    expect(isAtOrBelow(key("a.example"), key("example"))).toBe(true);
    expect(isAtOrBelow(key("example"), key("example"))).toBe(true);
    expect(isAtOrBelow(key("example"), ROOT.key)).toBe(true);
    expect(isAtOrBelow(key("anexample"), key("example"))).toBe(false);
    expect(isAtOrBelow(key("example"), key("a.example"))).toBe(false);
    // The last octets are those of "example", but they begin within a label.
    expect(isAtOrBelow(key("a\\007example"), key("example"))).toBe(false);
    expect(parentOf(key("a.example"))).toBe(key("example"));
    expect(parentOf(key("example"))).toBe(ROOT.key);
    expect(parentOf(ROOT.key)).toBeNull();
  });

  it("gets labels in front of it, as far as there is room", () => {
    expect(below("Dev", name("lan"))).toEqual(name("Dev.lan"));
    expect(below("", name("lan"))).toBeNull();
    expect(below("a".repeat(64), name("lan"))).toBeNull();
    const long = name(`${"a".repeat(63)}.${"a".repeat(63)}.${"a".repeat(63)}.${"b".repeat(59)}`);
    expect(below("a", long)?.wire.length).toBe(255);
    expect(below("ab", long)).toBeNull();
  });

  it("is a wildcard if its first label is an asterisk alone", () => {
    expect(wildcardOf(key("example"))).toBe(key("*.example"));
    expect(isWildcard(key("*.example"))).toBe(true);
    expect(isWildcard(key("**.example"))).toBe(false);
    expect(isWildcard(key("a.*.example"))).toBe(false);
  });
});
