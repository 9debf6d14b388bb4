import fc from "fast-check";
import { expect, it } from "vitest";
import type { Prerequisite, RecordChange } from "../../../src/lib/dns-record.ts";
import { tableRows } from "../../../src/lib/table.ts";
import { Router } from "./router.ts";

/** RFC 2136 as its sections say it, on a flat list of RRs: it shares nothing with the code but the words. */
interface Rr {
  readonly name: string;
  readonly type: string;
  readonly ttl: number;
  readonly value: string;
}
type Zone = readonly Rr[];

const fold = (type: string, value: string): string => (type === "CNAME" ? value.toLowerCase() : value);
const isSame = (rr: Rr, name: string, type: string, value: string): boolean =>
  rr.name === name && rr.type === type && fold(type, rr.value) === fold(type, value);

/** §3.2.5: the temporary zone of value dependent prerequisites is compared when all else has passed. */
function prerequisitesOf(zone: Zone, all: readonly Prerequisite[]): string {
  const whole: Extract<Prerequisite, { kind: "rrset-equals" }>[] = [];
  for (const each of all) {
    const named = zone.filter(({ name }) => name === each.name);
    if (each.kind === "name-in-use" && named.length === 0) return "DNS_NAME_ABSENT";
    if (each.kind === "name-not-in-use" && named.length > 0) return "DNS_NAME_IN_USE";
    if (each.kind === "rrset-exists" && !named.some(({ type }) => type === each.type)) return "DNS_RRSET_ABSENT";
    if (each.kind === "rrset-absent" && named.some(({ type }) => type === each.type)) return "DNS_RRSET_EXISTS";
    if (each.kind === "outside") return "DNS_NOT_ZONE";
    if (each.kind === "rrset-equals") whole.push(each);
  }
  for (const { name, type, values } of whole) {
    const there = zone.filter((rr) => rr.name === name && rr.type === type);
    const missing = values.some((value) => !there.some((rr) => isSame(rr, name, type, value)));
    const more = there.some((rr) => !values.some((value) => isSame(rr, name, type, value)));
    if (missing || more) return "DNS_RRSET_ABSENT";
  }
  return "ok";
}

/** §3.4.2.1 to 3.4.2.4, one RR after the other. */
function updated(zone: Zone, each: RecordChange): Zone {
  const { name } = each;
  if (each.kind === "delete-name") return zone.filter((rr) => rr.name !== name);
  if (each.kind === "delete-rrset") return zone.filter((rr) => rr.name !== name || rr.type !== each.type);
  if (each.kind === "delete-value") return zone.filter((rr) => !isSame(rr, name, each.type, each.value));
  const { type, ttl, value } = each;
  const rr = { name, type, ttl, value };
  const others = zone.filter((other) => other.name === name && other.type !== type);
  if (type === "CNAME") {
    if (others.length > 0) return zone;
    const same = zone.find((other) => isSame(other, name, type, value));
    return [...zone.filter((other) => other.name !== name), { ...rr, value: same?.value ?? value }];
  }
  if (others.some((other) => other.type === "CNAME")) return zone;
  // RFC 2181 §5.2.
  const timed = zone.map((other) => (other.name === name && other.type === type ? { ...other, ttl } : other));
  return timed.some((other) => isSame(other, name, type, value)) ? timed : [...timed, rr];
}

const name = fc.constantFrom("a.home.internal", "b.a.home.internal", "c.example");
const typed = fc.oneof(
  fc.record({ type: fc.constant("A"), value: fc.constantFrom("10.59.7.2", "10.59.7.3", "10.59.7.4") }),
  fc.record({ type: fc.constant("CNAME"), value: fc.constantFrom("x.example", "X.Example", "y.example") }),
  fc.record({ type: fc.constant("TXT"), value: fc.constantFrom('"x"', '"X"') }),
);
const type = fc.constantFrom("A", "CNAME", "TXT");
const change: fc.Arbitrary<RecordChange> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .record({ name, rdata: typed, ttl: fc.constantFrom(0, 60, 300) })
      .map(({ rdata, ...rest }) => ({ kind: "add", ...rest, ...rdata }) as const),
  },
  fc.record({ kind: fc.constant("delete-name" as const), name }),
  fc.record({ kind: fc.constant("delete-rrset" as const), name, type }),
  fc.record({ name, rdata: typed }).map(({ rdata, ...rest }) => ({ kind: "delete-value", ...rest, ...rdata }) as const),
);
const prerequisite: fc.Arbitrary<Prerequisite> = fc.oneof(
  fc.record({ kind: fc.constantFrom("name-in-use" as const, "name-not-in-use" as const), name }),
  fc.record({ kind: fc.constantFrom("rrset-exists" as const, "rrset-absent" as const), name, type }),
  fc
    .record({ name, values: fc.subarray(["10.59.7.2", "10.59.7.3", "10.59.7.4"], { minLength: 1 }) })
    .map((each) => ({ kind: "rrset-equals", type: "A", ...each }) as const),
);
const message = fc.record({
  prerequisites: fc.oneof(
    { weight: 2, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(prerequisite, { maxLength: 3 }) },
  ),
  changes: fc.array(change, { minLength: 1, maxLength: 6 }),
  lease: fc.constantFrom(null, 60, 3600),
});

const inOrder = (zone: Iterable<Rr>): string[] =>
  [...zone].map((rr) => `${rr.name} ${rr.ttl} ${rr.type} ${rr.value}`).sort();

it("[D2] an update does what RFC 2136 says, whatever is there, all of it or nothing (U9 to U40)", () => {
  const seen = { refused: 0, changed: 0, repeated: 0 };
  fc.assert(
    fc.property(fc.array(message, { minLength: 1, maxLength: 12 }), (messages) => {
      const router = new Router();
      router.device("nas");
      const { id } = router.find("nas");
      let zone: Zone = [];
      for (const { changes, ...rest } of messages) {
        // Names of one message are in its zone, which need not be ours.
        const [first] = changes;
        const apex = first?.name === "c.example" ? "example" : "home.internal";
        const within = changes.filter((each) => each.name.endsWith(apex));
        const update = { zone: apex, ...rest, changes: within };
        const sent = { type: "dns.update", device: id, interface: "wg0", signed: true, update } as const;
        const decision = router.do(sent, "dns:10.59.7.2");
        const code = prerequisitesOf(zone, rest.prerequisites);
        expect(decision.ok ? "ok" : decision.refusal.code).toBe(code);
        if (code === "ok") {
          const next = within.reduce(updated, zone);
          const differs = JSON.stringify(inOrder(next)) !== JSON.stringify(inOrder(zone));
          if (differs) expect(decision.ok && decision.events.length).toBe(1);
          zone = next;
          seen[differs ? "changed" : "repeated"] += 1;
        } else seen.refused += 1;
        const there = [...tableRows(router.state.names)].flatMap((holder) =>
          holder.records.map((each) => ({ ...each, name: holder.name })),
        );
        expect(inOrder(there)).toEqual(inOrder(zone));
        // Once more: it appends something only if it changes something once more.
        if (!decision.ok || rest.prerequisites.length > 0) continue;
        const again = router.do(sent, "dns:10.59.7.2");
        const after = within.reduce(updated, zone);
        const same = JSON.stringify(inOrder(after)) === JSON.stringify(inOrder(zone));
        expect(again.ok && again.events.length).toBe(same ? 0 : 1);
        zone = after;
      }
    }),
    { numRuns: 300 },
  );
  expect(Math.min(seen.refused, seen.changed, seen.repeated)).toBeGreaterThan(100);
});
