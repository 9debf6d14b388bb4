import { CLASS, TYPE } from "../../src/protocols/dns/constants.ts";
import {
  message,
  pointer,
  question,
  type RecordOctets,
  record,
  string,
  u16,
  u32,
  UPDATE,
  wire,
} from "../unit/protocols/dns/octets.ts";
import { concat } from "../unit/protocols/hex.ts";

export const ZONE = "home.arpa";
/** How a request is signed: as it should be, not at all, or wrong in one way. */
export type Signing =
  | "key"
  | "none"
  | {
      readonly fault:
        | "key name"
        | "algorithm"
        | "mac"
        | "ttl"
        | "original id"
        | "twice"
        | "upper case"
        | "error fields";
    }
  | { readonly fault: "mac length"; readonly octets: number }
  | { readonly fault: "time"; readonly offset: number; readonly fudge: number };

export type How = "udp" | "silent" | "tcp";

export interface Exchange {
  /** "row/what", the rows being those of the conformance list that the RFCs make: U zone and update, T signature, W wire. */
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly signing: Signing;
  /** "silent": UDP too, but not every server answers, and silence takes its time. TCP: no limit on answers to what is malformed. */
  readonly how: How;
}

/** What the key may not change, by each server's own configuration. */
export const DENIED = "denied.example";

export const at = (label: string): string => (label === "" ? ZONE : `${label}.${ZONE}`);
const [NONE, ANY] = [CLASS.NONE, CLASS.ANY];
const ipv4 = (last: number): Uint8Array => Uint8Array.of(192, 0, 2, last);

type Parts = Readonly<{ zone?: Uint8Array[]; pre?: RecordOctets[]; up?: RecordOctets[]; flags?: number }>;

let nextId = 1;
function exchange(id: string, bytes: Uint8Array, signing: Signing = "key", how: How = "udp"): Exchange {
  return { id, bytes, signing, how };
}

export function update(id: string, parts: Parts, signing: Signing = "key"): Exchange {
  const { zone = [question(ZONE, TYPE.SOA)], pre = [], up = [], flags = 0 } = parts;
  const sections = [zone, pre.map(record), up.map(record)];
  return exchange(id, message({ id: nextId++, flags: UPDATE | flags, sections }), signing);
}

export function query(id: string, name: string, type: number, signing: Signing = "none", flags = 0): Exchange {
  return exchange(id, message({ id: nextId++, flags, sections: [[question(name, type)]] }), signing);
}

export const add = (label: string, type: number, data: Uint8Array, ttl = 300): RecordOctets => ({
  owner: at(label),
  type,
  ttl,
  data,
});
export const a = (label: string, last = 1, ttl = 300): RecordOctets => add(label, TYPE.A, ipv4(last), ttl);
const cname = (label: string, to: string): RecordOctets => add(label, TYPE.CNAME, wire(at(to)));
/** Class ANY or NONE without a value: in the one section what must be, in the other what goes. */
export const bare = (label: string, type: number, inClass: number, more: Partial<RecordOctets> = {}): RecordOctets => ({
  owner: at(label),
  type,
  class: inClass,
  ...more,
});
const put = (row: string, ...up: RecordOctets[]): Exchange => update(`${row}/put`, { up });
const see = (row: string, label: string, type: number = TYPE.A): Exchange => query(`${row}/see`, at(label), type);

const zoneSection = (): Exchange[] => {
  const up = [a("u6")];
  return [
    update("U1/reserved-flags", { up: [a("u1")], flags: 0x01b0 }),
    update("U6/none", { zone: [], up }),
    update("U6/type-a", { zone: [question(ZONE, TYPE.A)], up }),
    { ...update("U6/two", { zone: [question(ZONE, TYPE.SOA), question(ZONE, TYPE.SOA)], up }), how: "silent" },
    update("U7/foreign", { zone: [question("example.net", TYPE.SOA)], up: [{ ...a(""), owner: "www.example.net" }] }),
    update("U7/inside", { zone: [question(at("sub"), TYPE.SOA)] }),
    update("U8/not-forwarded", { zone: [question("example.net", TYPE.SOA)] }),
    update("T16/denied", { zone: [question(DENIED, TYPE.SOA)], up: [{ ...a(""), owner: `www.${DENIED}` }] }),
    update("U7/chaos", { zone: [question(ZONE, TYPE.SOA, CLASS.CH)], up }),
    see("U7", "u6"),
  ];
};

const prerequisites = (): Exchange[] => {
  const holds = (row: string, what: string, ...pre: RecordOctets[]): Exchange => update(`${row}/${what}`, { pre });
  const value = (last: number, ttl = 0): RecordOctets => a("pre", last, ttl);
  return [
    put("U9", a("pre", 1), a("pre", 2), add("pre", TYPE.TXT, string("x")), a("deep.ent", 1), a("*.wild", 1)),
    holds("U9", "yes", bare("pre", TYPE.ANY, ANY)),
    holds("U9", "no", bare("nopre", TYPE.ANY, ANY)),
    holds("U10", "yes", bare("pre", TYPE.A, ANY)),
    holds("U10", "no", bare("pre", TYPE.AAAA, ANY)),
    holds("U10", "no-name", bare("nopre", TYPE.A, ANY)),
    holds("U11", "yes", bare("nopre", TYPE.ANY, NONE)),
    holds("U11", "no", bare("pre", TYPE.ANY, NONE)),
    holds("U12", "yes", bare("pre", TYPE.AAAA, NONE)),
    holds("U12", "no", bare("pre", TYPE.A, NONE)),
    holds("U13", "equal", value(2), value(1)),
    holds("U13", "less", value(1)),
    holds("U13", "more", value(1), value(2), value(3)),
    holds("U13", "other", value(1), value(3)),
    holds("U13", "ttl", value(1, 5), value(2, 5)),
    holds("U14", "any-data", bare("pre", TYPE.A, ANY, { data: ipv4(1) })),
    holds("U14", "none-data", bare("nopre", TYPE.A, NONE, { data: ipv4(1) })),
    holds("U14", "any-ttl", bare("pre", TYPE.A, ANY, { ttl: 1 })),
    holds("U14", "class", bare("pre", TYPE.A, CLASS.CH)),
    holds("U15", "not-in-use", bare("ent", TYPE.ANY, NONE)),
    holds("U15", "in-use", bare("ent", TYPE.ANY, ANY)),
    holds("U16", "gathered", value(9), bare("pre", TYPE.ANY, NONE)),
    holds("U17", "order", bare("nopre", TYPE.ANY, ANY), { ...bare("", TYPE.ANY, ANY), owner: "example.net" }),
    holds("U17", "outside", { ...bare("", TYPE.ANY, ANY), owner: "example.net" }),
    holds("U18", "wildcard", bare("some.wild", TYPE.ANY, ANY)),
    holds("U18", "literal", bare("*.wild", TYPE.A, ANY)),
    holds("U19", "soa", bare("", TYPE.SOA, ANY)),
    holds("U19", "ns", bare("", TYPE.NS, ANY)),
    holds("U19", "no-soa", bare("", TYPE.SOA, NONE)),
  ];
};

const prescan = (): Exchange[] => {
  const bad = (row: string, what: string, ...up: RecordOctets[]): Exchange => update(`${row}/${what}`, { up });
  return [
    put("U20", a("scan")),
    bad("U20", "outside", a("mixed"), { ...a(""), owner: "example.net" }),
    see("U20", "mixed"),
    bad("U21", "any", add("scan", TYPE.ANY, new Uint8Array())),
    bad("U21", "axfr", add("scan", TYPE.AXFR, new Uint8Array())),
    bad("U21", "tkey", add("scan", TYPE.TKEY, new Uint8Array())),
    bad("U21", "a-0", add("scan", TYPE.A, new Uint8Array())),
    bad("U21", "a-3", add("scan", TYPE.A, Uint8Array.of(1, 2, 3))),
    bad("U21", "a-5", add("scan", TYPE.A, Uint8Array.of(1, 2, 3, 4, 5))),
    bad("U21", "txt-0", add("scan", TYPE.TXT, new Uint8Array())),
    bad("U21", "txt-cut", add("scan", TYPE.TXT, Uint8Array.of(9, 65))),
    bad("U21", "aaaa-4", add("scan", TYPE.AAAA, ipv4(1))),
    bad("U22", "ttl", bare("scan2", TYPE.A, ANY, { ttl: 1 })),
    bad("U22", "data", bare("scan", TYPE.A, ANY, { data: ipv4(1) })),
    bad("U22", "axfr", bare("scan", TYPE.AXFR, ANY)),
    bad("U23", "ttl", bare("scan2", TYPE.A, NONE, { ttl: 1, data: ipv4(1) })),
    bad("U23", "any", bare("scan", TYPE.ANY, NONE)),
    bad("U23", "empty", bare("scan", TYPE.A, NONE)),
    bad("U24", "class", { ...a("scan"), class: CLASS.CH }),
    bad("U25", "unknown", add("unknown", 65280, Uint8Array.of(1, 2, 3))),
    see("U25", "unknown", 65280),
    bad("U26", "ttl", a("oldttl", 1, 0x8000_0000)),
    see("U26", "oldttl"),
    update("U4/prerequisite-and-malformed", {
      pre: [bare("nopre", TYPE.ANY, ANY)],
      up: [add("scan", TYPE.A, Uint8Array.of(1))],
    }),
    bad("U29", "nsec", add("scan", TYPE.NSEC, concat(wire(at("x")), Uint8Array.of(0, 1, 0x40)))),
    see("U23", "scan"),
  ];
};

const soa = (serial: number): Uint8Array =>
  concat(wire(at("ns")), wire(at("hostmaster")), u32(serial), u32(1200), u32(180), u32(1_209_600), u32(5));

const application = (): Exchange[] => {
  const does = (row: string, what: string, ...up: RecordOctets[]): Exchange => update(`${row}/${what}`, { up });
  return [
    put("U27", a("dup", 1, 60)),
    does("U27", "again", a("dup", 1, 90)),
    see("U27", "dup"),
    put("U28", a("ttl", 1, 60)),
    does("U28", "another", a("ttl", 2, 90)),
    see("U28", "ttl"),
    put("U29", a("data"), cname("alias", "data")),
    does("U29", "onto-data", cname("data", "alias")),
    does("U29", "onto-alias", a("alias", 9)),
    see("U29", "alias"),
    does("U29", "replaced", cname("alias", "dup")),
    see("U29", "alias", TYPE.CNAME),
    does("U29", "apex", cname("", "data")),
    put("U31", add("case", TYPE.CNAME, wire("WWW.Home.Arpa"))),
    does("U31", "delete", bare("case", TYPE.CNAME, NONE, { data: wire("www.home.arpa") })),
    see("U31", "case", TYPE.CNAME),
    put("U32", a("many"), add("many", TYPE.TXT, string("x"))),
    does("U32", "name", bare("many", TYPE.ANY, ANY)),
    see("U32", "many"),
    put("U33", a("many2"), add("many2", TYPE.TXT, string("x"))),
    does("U33", "rrset", bare("many2", TYPE.A, ANY)),
    see("U33", "many2", TYPE.TXT),
    does("U33", "soa", bare("", TYPE.SOA, ANY)),
    does("U33", "ns", bare("", TYPE.NS, ANY)),
    does("U34", "last-ns", bare("", TYPE.NS, NONE, { data: wire(at("ns")) })),
    see("U34", "", TYPE.NS),
    does("U34", "swap", add("", TYPE.NS, wire(at("ns2")), 60), bare("", TYPE.NS, NONE, { data: wire(at("ns")) })),
    see("U34", "", TYPE.NS),
    does("U34", "back", add("", TYPE.NS, wire(at("ns")), 60), bare("", TYPE.NS, NONE, { data: wire(at("ns2")) })),
    does("U32", "apex", bare("", TYPE.ANY, ANY)),
    see("U32", "", TYPE.NS),
    does("U30", "not-apex", add("soa", TYPE.SOA, soa(9))),
    does("U30", "old-serial", add("", TYPE.SOA, soa(0))),
    see("U30", "", TYPE.SOA),
    see("U30", "soa", TYPE.SOA),
    does("U35", "order", bare("alias", TYPE.CNAME, ANY), a("alias", 7)),
    see("U35", "alias"),
    does("U36", "name", bare("absent", TYPE.ANY, ANY)),
    does("U36", "rrset", bare("absent", TYPE.A, ANY)),
    does("U36", "value", bare("absent", TYPE.A, NONE, { data: ipv4(1) })),
    does("U37", "nothing"),
    does("U39", "no-op", a("data")),
    see("U39", "", TYPE.SOA),
    // What is at the name decides nothing but what is done.
    does("U40", "contradiction", a("both"), cname("both", "data"), bare("both", TYPE.TXT, ANY), a("both", 2)),
    see("U40", "both"),
    does("U38", "put", a("durable")),
    { ...see("U38", "durable"), how: "tcp" },
  ];
};

const signatures = (): Exchange[] => {
  const signed = (row: string, what: string, signing: Signing): Exchange =>
    update(`${row}/${what}`, { up: [a(`t-${what}`)] }, signing);
  const late = (offset: number, fudge: number): Signing => ({ fault: "time", offset, fudge });
  return [
    signed("T1", "twice", { fault: "twice" }),
    signed("T2", "upper-case", { fault: "upper case" }),
    signed("T7", "original-id", { fault: "original id" }),
    signed("T8", "key-name", { fault: "key name" }),
    signed("T8", "algorithm", { fault: "algorithm" }),
    signed("T9", "mac", { fault: "mac" }),
    signed("T10", "past", late(-400, 300)),
    signed("T10", "future", late(400, 300)),
    signed("T11", "16", { fault: "mac length", octets: 16 }),
    signed("T12", "9", { fault: "mac length", octets: 9 }),
    signed("T12", "33", { fault: "mac length", octets: 33 }),
    signed("T13", "0", { fault: "mac length", octets: 0 }),
    signed("T14", "unsigned", "none"),
    signed("T15", "ttl", { fault: "ttl" }),
    update("T16/prerequisite", { pre: [bare("nopre", TYPE.ANY, ANY)] }),
    signed("T18", "large-fudge", late(-400, 1000)),
    signed("T18", "shorter-fudge", late(-100, 60)),
    signed("T17", "error-fields", { fault: "error fields" }),
    see("T17", "t-error-fields"),
    signed("T18", "no-fudge", late(-1, 0)),
    signed("T3", "long", "key"),
    query("T4/query", at("never"), TYPE.A, "key"),
    update("T5/mixed-case", { up: [{ ...a(""), owner: "T-Mixed.HOME.arpa" }] }),
    ...replay(),
    ...tooLong(),
    query("T20/query", at("data"), TYPE.A, "key"),
    query("T20/wrong", at("data"), TYPE.A, { fault: "mac" }),
  ];
};

/** The very octets again, after what they asked for was taken back. */
function replay(): Exchange[] {
  const put = update("T19/put", { up: [a("replay")] });
  return [
    put,
    update("T19/remove", { up: [bare("replay", TYPE.ANY, ANY)] }),
    { ...put, id: "T19/again" },
    see("T19", "replay"),
  ];
}

function tooLong(): Exchange[] {
  const texts = Array.from({ length: 20 }, (_, index) => add("long", TYPE.TXT, string(String(index).padEnd(60, "x"))));
  return [
    put("T20", ...texts),
    query("T20/truncated", at("long"), TYPE.TXT, "key"),
    query("T20/cut", at("long"), TYPE.TXT),
  ];
}

const wires = (): Exchange[] => {
  const raw = (id: string, bytes: Uint8Array, how?: How): Exchange => exchange(id, bytes, "none", how);
  const asked = [question(at("data"), TYPE.A)];
  const label = wire(at("packed")).length - wire(ZONE).length;
  const packed = concat(wire(at("packed")).slice(0, label), pointer(12));
  return [
    raw("W1/short", u16(nextId++, 0, 1), "silent"),
    raw("W2/answer", message({ id: nextId++, flags: 0x8000, sections: [asked] }), "silent"),
    raw("W3/status", message({ id: nextId++, flags: 2 << 11, sections: [asked] })),
    raw("W3/opcode-7", message({ id: nextId++, flags: 7 << 11, sections: [asked] })),
    exchange("W3/signed", message({ id: nextId++, flags: 2 << 11, sections: [asked] })),
    raw("W4/counts", message({ id: nextId++, sections: [asked], counts: [9, 0, 0, 0] }), "tcp"),
    raw("W5/forward", message({ id: nextId++, sections: [[concat(pointer(40), u16(1, 1))]] }), "tcp"),
    raw("W5/self", message({ id: nextId++, sections: [[concat(pointer(12), u16(1, 1))]] }), "tcp"),
    raw("W5/label-type", message({ id: nextId++, sections: [[concat(Uint8Array.of(0x41, 1, 0), u16(1, 1))]] }), "tcp"),
    { ...update("W6/length", { up: [{ ...a("w6"), length: 40 }] }), how: "tcp" },
    raw("W7/trailing", message({ id: nextId++, sections: [asked], rest: u16(0) }), "tcp"),
    update("W9/ptr", { up: [add("w9", TYPE.PTR, pointer(12))] }),
    see("W9", "w9", TYPE.PTR),
    update("W9/srv", { up: [add("_w9._tcp", TYPE.SRV, concat(u16(0, 0, 443), pointer(12)))] }),
    see("W9", "_w9._tcp", TYPE.SRV),
    update("W9/https", { up: [add("w9s", TYPE.HTTPS, concat(u16(1), pointer(12)))] }),
    see("W9", "w9s", TYPE.HTTPS),
    query("W8/case", "DaTa.HoMe.ArPa", TYPE.A),
    raw("W10/none", message({ id: nextId++ })),
    raw("W10/two", message({ id: nextId++, sections: [[...asked, ...asked]] }), "silent"),
    update("W11/packed", { up: [{ ...a("packed"), owner: packed }] }),
    see("W11", "packed"),
    query("Q/wildcard", at("some.wild"), TYPE.A),
    query("Q/non-terminal", at("ent"), TYPE.A),
    query("Q/absent", at("never"), TYPE.A),
    query("Q/no-data", at("data"), TYPE.MX),
    query("Q/axfr-udp", ZONE, TYPE.AXFR),
  ];
};

/** What one of them took and another did not goes, so that all are the same again; a TXT that ends in nowhere ends a transfer. */
const clean = (): Exchange[] => [
  update("END/clean", {
    up: ["scan", "unknown", "t-large-fudge", "replay", "w9s", "t-error-fields"].map((label) =>
      bare(label, TYPE.ANY, ANY),
    ),
  }),
];

export const fixedExchanges = (): Exchange[] => [
  ...zoneSection(),
  ...prerequisites(),
  ...prescan(),
  ...application(),
  ...signatures(),
  ...wires(),
  ...clean(),
];
