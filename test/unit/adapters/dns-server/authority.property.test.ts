import fc from "fast-check";
import { expect, it } from "vitest";
import { ZoneData } from "../../../../src/adapters/dns-server/thread/zones/zone-data.ts";
import { formatName } from "../../../../src/lib/domain-name.ts";
import { ask, lines, name, publish } from "./zone.ts";

/**
 * RFC 1034 and RFC 4592 by their definitions, over a flat list of names, one type at each. Labels are an array, root
 * last left out; nothing of it is an index.
 */
interface Published {
  readonly labels: readonly string[];
  readonly view: "home" | "lab" | null;
  /** An address, or the name it is an alias of. */
  readonly value: string | readonly string[];
}
const ZONES = [["z"], ["s", "z"]];
const ends = (labels: readonly string[], tail: readonly string[]): boolean =>
  tail.length <= labels.length && tail.every((label, at) => label === labels[labels.length - tail.length + at]);
const same = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && ends(one, other);

function oracle(all: readonly Published[], view: string, asked: readonly string[], depth = 0): string[] | null {
  const seen = all.filter((each) => each.view === null || each.view === view);
  const zone = ZONES.filter((apex) => ends(asked, apex)).sort((a, b) => b.length - a.length)[0];
  /** Every name there is: what is published, what is above it; in a zone its apex and name server too. */
  const exists = (labels: readonly string[]): boolean =>
    seen.some((each) => ends(each.labels, labels)) ||
    (zone !== undefined && (same(labels, zone) || same(labels, ["ns", ...zone])));
  const at = (labels: readonly string[]): Published | undefined => seen.find((each) => same(each.labels, labels));
  let source = at(asked);
  // A published name outside of zones has a name server too, which no wildcard stands for.
  const isServer = zone === undefined && asked[0] === "ns" && at(asked.slice(1)) !== undefined;
  if (source === undefined && isServer) return ["here"];
  if (source === undefined && !exists(asked)) {
    let encloser = asked.slice(1);
    while (encloser.length > 0 && !exists(encloser)) encloser = encloser.slice(1);
    if (zone === undefined || ends(encloser, zone)) source = at(["*", ...encloser]);
  }
  if (zone === undefined && source === undefined) return depth === 0 ? null : ["outside"];
  if (source === undefined) {
    if (zone !== undefined && same(asked, ["ns", ...zone])) return ["here"];
    return [exists(asked) ? "NODATA" : "NXDOMAIN"];
  }
  if (typeof source.value === "string") return [source.value];
  const line = `-> ${source.value.join(".")}`;
  // Only as deep as no alias can turn back: targets are shorter than their owners, or the example is left out.
  return [line, ...(oracle(all, view, source.value, depth + 1) ?? ["outside"])];
}

const label = fc.constantFrom("a", "b", "*", "ns");
const place = fc.tuple(fc.array(label, { minLength: 0, maxLength: 3 }), fc.constantFrom("z", "s.z", "o", "p.o"));
const labels = place.map(([front, end]) => [...front, ...end.split(".")]);
/** Rank falls along a chain, so that there is no circle: those have tests of their own. */
const rank = (text: readonly string[]): number => text.length;
const published = fc.record({
  labels,
  view: fc.constantFrom("home" as const, "lab" as const, null),
  value: fc.oneof({ weight: 3, arbitrary: fc.constant("10.0.0.1") }, { weight: 1, arbitrary: labels }),
});

it("answers as the definitions say, whatever is published where, and after any withdrawal (F26, F27, RFC 4592)", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(published, { selector: (each) => each.labels.join("."), maxLength: 12 }),
      fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
      fc.array(labels, { minLength: 1, maxLength: 6 }),
      (all, stays, questions) => {
        const sound = all.filter(
          ({ labels: owner, value }) =>
            typeof value === "string" || (rank(value) < rank(owner) && !owner.includes("*") && !value.includes("*")),
        );
        const data = new ZoneData();
        for (const apex of ZONES) data.setZone(name(apex.join(".")).key, null);
        for (const { labels: owner, view, value } of sound) {
          const text = typeof value === "string" ? `A ${value}` : `CNAME ${value.join(".")}`;
          publish(data, owner.join("."), [text], view === null ? null : [view]);
        }
        for (const [index, each] of sound.entries()) if (!stays[index]) data.withdraw(name(each.labels.join(".")).key);
        const left = sound.filter((_each, index) => stays[index]);
        for (const asked of questions) {
          for (const view of ["home", "lab"])
            expect(told(data, asked, view), asked.join(".")).toEqual(oracle(left, view, asked));
        }
      },
    ),
    { numRuns: 800 },
  );
});

/** Our answer in the oracle's words. */
function told(data: ZoneData, asked: readonly string[], view: string): string[] | null {
  const answered = ask(data, asked.join("."), "A", view);
  if (answered === null) return null;
  const said = lines(answered.answers).map((line) => {
    const [, type, value] = line.split(" ");
    return type === "CNAME" ? `-> ${value}` : value === "10.59.0.1" ? "here" : (value as string);
  });
  if (answered.outside !== null) return [...said, "outside"];
  if (answered.authorities.length === 0) return said;
  expect(answered.authorities.map((soa) => formatName(soa.name))).toEqual([formatName(answered.apex)]);
  return [...said, answered.rcode === 0 ? "NODATA" : "NXDOMAIN"];
}
