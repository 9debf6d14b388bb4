import { CLASS, TYPE } from "../../src/protocols/dns/constants.ts";
import { type RecordOctets, string, u16, wire } from "../unit/protocols/dns/octets.ts";
import { concat } from "../unit/protocols/hex.ts";
import { a, add, at, bare, type Exchange, query, update } from "./dns-differential-exchanges.ts";

type Random = (limit: number) => number;

/** xorshift32, so that a failure can be repeated from the seed in its message. */
function generator(seed: number): Random {
  let state = seed | 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

const LABELS = ["g0", "g1", "g2", "g3", "sub.g0", "deep.er.g1", "_srv._tcp.g2", "*.g3"];
const TTLS = [0, 60, 300, 3600];
const pick = <T>(next: Random, from: readonly T[]): T => from[next(from.length)] as T;

/** RDATA by type, few values of each, so that they meet. */
const VALUES: readonly (readonly [type: number, data: (next: Random) => Uint8Array])[] = [
  [TYPE.A, (next) => Uint8Array.of(192, 0, 2, next(3))],
  [TYPE.AAAA, (next) => concat(u16(0x2001, 0xdb8), u16(0, 0, 0, 0, 0, next(3)))],
  [TYPE.CNAME, (next) => wire(at(pick(next, LABELS)))],
  [TYPE.TXT, (next) => concat(string(pick(next, ["a", "A", ""])), string("b"))],
  [TYPE.SRV, (next) => concat(u16(next(2), 1, 443), wire(at(pick(next, ["g0", "G0"]))))],
  [TYPE.PTR, (next) => wire(at(pick(next, ["g1", "G1", "g2"])))],
  [TYPE.CAA, (next) => concat(Uint8Array.of(128 * next(2)), string("issue"), Uint8Array.of(97, 98))],
  [TYPE.HTTPS, (next) => concat(u16(1), wire("."), u16(1, 3), string("h2"), u16(3, 2, 443 + next(2)))],
];

const value = (next: Random): RecordOctets => {
  const [type, data] = pick(next, VALUES);
  return add(pick(next, LABELS), type, data(next), pick(next, TTLS));
};

function prerequisite(next: Random): RecordOctets {
  const [label, [type]] = [pick(next, LABELS), pick(next, VALUES)];
  const kinds = [
    () => bare(label, TYPE.ANY, CLASS.ANY),
    () => bare(label, type, CLASS.ANY),
    () => bare(label, TYPE.ANY, CLASS.NONE),
    () => bare(label, type, CLASS.NONE),
    () => ({ ...value(next), ttl: 0 }),
  ];
  return pick(next, kinds)();
}

function change(next: Random): RecordOctets {
  const kind = next(10);
  if (kind < 6) return value(next);
  if (kind < 8) return { ...value(next), class: CLASS.NONE, ttl: 0 };
  const [label, [type]] = [pick(next, LABELS), pick(next, VALUES)];
  return bare(label, kind === 8 ? type : TYPE.ANY, CLASS.ANY);
}

/** Refused by all three, whatever is in the zone: what they take differently is among the fixed ones. */
const FAULTS: readonly (readonly [string, () => RecordOctets])[] = [
  ["rdata", () => add("g0", TYPE.A, Uint8Array.of(1, 2, 3))],
  ["rdata", () => add("g1", TYPE.AAAA, new Uint8Array(15))],
  ["rdata", () => add("g2", TYPE.SRV, u16(1, 1))],
  ["rdata", () => add("g0", TYPE.MX, u16(1))],
  ["class", () => ({ ...a("g0"), class: CLASS.HS })],
  ["meta", () => add("g0", TYPE.ANY, new Uint8Array())],
  ["outside", () => ({ ...a("g0"), owner: "g0.example.net" })],
];

/** Pairs of an update and a question about what it may have changed. */
export function generatedExchanges(seed: number, count: number): Exchange[] {
  const next = generator(seed);
  const some = <T>(most: number, make: (next: Random) => T): T[] =>
    Array.from({ length: next(most + 1) }, () => make(next));
  return Array.from({ length: count }, (_, index) => {
    const up = [change(next), ...some(3, change)];
    const fault = next(8) === 0 ? pick(next, FAULTS) : null;
    if (fault !== null) up.splice(next(up.length + 1), 0, fault[1]());
    const pre = fault === null && next(3) === 0 ? [prerequisite(next), ...some(1, prerequisite)] : [];
    const asked = up.find(({ owner }) => owner !== "g0.example.net")?.owner;
    const [type] = pick(next, VALUES);
    return [
      update(`gen-${fault?.[0] ?? "update"}/${index}`, { pre, up }),
      query(`gen-query/${index}`, typeof asked === "string" ? asked : at("g0"), type),
    ];
  }).flat();
}
