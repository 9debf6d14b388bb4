import {
  below,
  type DomainName,
  formatName,
  nameOf,
  type NameKey,
  parentOf,
  wildcardOf,
} from "../../../../lib/domain-name.ts";
import { apexRecords, NAME_SERVER_LABEL } from "../../../../lib/zone-apex.ts";
import { CLASS, RCODE, TYPE } from "../../../../protocols/dns/constants.ts";
import type { DnsRecord, Question, RecordData } from "../../../../protocols/dns/message.ts";
import { RdataTextError, recordFromText } from "../../../../protocols/dns/rdata/index.ts";
import type { PublishedName, ZoneData } from "./zone-data.ts";

/** RFC 1034 §3.6.2 wants chains followed; one that is longer is a mistake or a trap. */
const CHAIN_MAX = 8;
/** What names a zone's server is at, while it is asked there. */
const SERVER_TTL = 60;

export interface Answered {
  readonly rcode: number;
  readonly answers: readonly DnsRecord[];
  readonly authorities: readonly DnsRecord[];
  /** Where a chain of aliases leaves what is ours: the rest of the answer is the forwarder's to find. */
  readonly outside: DomainName | null;
  /** The zone that spoke last, for whoever wants to know why. */
  readonly apex: NameKey;
}

/** Who answers, and whom: the view, and the addresses at which it is served. */
export interface Vantage {
  readonly view: string;
  readonly servers: readonly string[];
}

/** Answers from what is ours, as RFC 1034 §4.3.2 has it; null if the question is about nothing of ours. */
export function answerFrom(data: ZoneData, vantage: Vantage, { name, type }: Question): Answered | null {
  const answers: DnsRecord[] = [];
  const seen = new Set<NameKey>();
  let owner = name;
  let apex: NameKey | null = null;
  for (;;) {
    const here = apexOf(data, vantage.view, owner.key);
    if (here === null) {
      if (apex === null) return null;
      return { rcode: RCODE.NOERROR, answers, authorities: [], outside: owner, apex };
    }
    apex = here;
    seen.add(owner.key);
    const found = recordsAt(data, vantage, owner, apex);
    const chosen = found === null ? [] : choose(found, type);
    answers.push(...chosen);
    const alias = found === null ? null : aliasOf(found, type);
    if (alias === null) {
      const authorities = chosen.length > 0 ? [] : denial(data, apex);
      return { rcode: found === null ? RCODE.NXDOMAIN : RCODE.NOERROR, answers, authorities, outside: null, apex };
    }
    // RFC 1034 §3.6.2 leaves open what a loop means. What there is of it is no lie.
    if (seen.has(alias.key) || seen.size > CHAIN_MAX) {
      return { rcode: RCODE.NOERROR, answers, authorities: [], outside: null, apex };
    }
    owner = alias;
  }
}

/** What AXFR sends (RFC 5936 §2.2): the SOA first and last; null if there is no such zone here. */
export function transferOf(data: ZoneData, vantage: Vantage, apex: DomainName): readonly DnsRecord[] | null {
  const { view } = vantage;
  const single = data.published(view, apex.key);
  const isZone = data.zoneOf(view, apex.key) === apex.key;
  if (!isZone && (single === null || data.zoneOf(view, apex.key) !== null)) return null;
  const published = isZone ? [...data.inZone(view, apex.key)] : single === null ? [] : [single];
  const own = apexSets(data, apex.key);
  const [soa] = own.get(TYPE.SOA) ?? [];
  if (soa === undefined) return null;
  const records = published.flatMap(({ sets }) => [...sets.values()].flat());
  const server = nameServerOf(apex.key);
  const isTaken = server === null || data.published(view, server.key) !== null;
  const addresses = isTaken ? [] : [...addressSets(server, vantage).values()].flat();
  return [soa, ...(own.get(TYPE.NS) ?? []), ...addresses, ...records, soa];
}

/** What a zone has at its apex by itself; nothing where its name is too long to name a server below it. */
function apexSets(data: ZoneData, apex: NameKey): Sets {
  const name = formatName(apex);
  try {
    const records = apexRecords(name, data.serial).map((each) => recordFromText({ name, ...each }));
    return new Map(records.map((each) => [each.type, [each]]));
  } catch (cause) {
    if (cause instanceof RdataTextError) return NONE;
    throw cause;
  }
}

/** What goes with a no: its TTL is for how long a resolver may say no by itself (RFC 2308 §3). */
function denial(data: ZoneData, apex: NameKey): readonly DnsRecord[] {
  return (apexSets(data, apex).get(TYPE.SOA) ?? []).map((soa) => {
    return soa.data.kind === "SOA" ? { ...soa, ttl: Math.min(soa.ttl, soa.data.minimum) } : soa;
  });
}

/**
 * A published name outside of every zone is a zone of its own, of that one name and its name server: what is asked for
 * below it is somebody else's. One that begins with `*` is one for each name it stands for.
 */
function apexOf(data: ZoneData, view: string, key: NameKey): NameKey | null {
  const zone = data.zoneOf(view, key);
  if (zone !== null) return zone;
  if (data.published(view, key) !== null) return key;
  const parent = parentOf(key);
  if (parent === null) return null;
  if (key.startsWith(NS_LABEL) && data.published(view, parent) !== null) return parent;
  return wildcardFor(data, view, key, null) === null ? null : key;
}

type Sets = ReadonlyMap<number, readonly DnsRecord[]>;

/** All record sets at a name of a zone; empty if the name is there without any, null if it is not. */
function recordsAt(data: ZoneData, vantage: Vantage, owner: DomainName, apex: NameKey): Sets | null {
  const { view } = vantage;
  const published = data.published(view, owner.key);
  if (owner.key === apex) return atApex(data, published ?? wildcardOutside(data, view, owner), apex);
  if (published !== null) return published.sets;
  const server = nameServerOf(apex);
  if (server?.key === owner.key) return addressSets(owner, vantage);
  if (data.hasBelow(view, owner.key)) return NONE;
  const wildcard = wildcardFor(data, view, owner.key, apex);
  return wildcard === null ? null : synthesised(wildcard, owner);
}

const NONE: Sets = new Map();

function atApex(data: ZoneData, published: Pick<PublishedName, "sets"> | null, apex: NameKey): Sets {
  const sets = published?.sets ?? NONE;
  // An alias excludes all else at its name (RFC 1034 §3.6.2): then it is a zone that has no apex to speak of.
  if (sets.has(TYPE.CNAME)) return sets;
  return new Map([...apexSets(data, apex), ...sets]);
}

function wildcardOutside(data: ZoneData, view: string, owner: DomainName): { sets: Sets } | null {
  if (data.zoneOf(view, owner.key) !== null) return null;
  const wildcard = wildcardFor(data, view, owner.key, null);
  return wildcard === null ? null : { sets: synthesised(wildcard, owner) };
}

/** RFC 4592 §3.3.1: the closest name that exists above decides whether a wildcard answers. */
function wildcardFor(data: ZoneData, view: string, key: NameKey, apex: NameKey | null): PublishedName | null {
  const server = apex === null ? null : nameServerOf(apex);
  if (data.hasBelow(view, key)) return null;
  for (let at = parentOf(key); at !== null; at = parentOf(at)) {
    const wildcard = data.published(view, wildcardOf(at));
    if (wildcard !== null) return wildcard;
    const isThere = data.hasBelow(view, at) || data.published(view, at) !== null;
    if (at === apex || isThere || at === server?.key) return null;
  }
  return null;
}

function synthesised({ sets }: PublishedName, name: DomainName): Sets {
  return new Map([...sets].map(([type, records]) => [type, records.map((each) => ({ ...each, name }))]));
}

function choose(sets: Sets, type: number): readonly DnsRecord[] {
  const alias = sets.get(TYPE.CNAME);
  if (alias !== undefined) return alias;
  // RFC 8482 §4.1: one set is an answer to ANY, and no help in flooding somebody else.
  if (type === TYPE.ANY) return [...sets].find(([each]) => each !== TYPE.SOA && each !== TYPE.NS)?.[1] ?? first(sets);
  return sets.get(type) ?? [];
}

function first(sets: Sets): readonly DnsRecord[] {
  for (const records of sets.values()) return records;
  return [];
}

function aliasOf(sets: Sets, type: number): DomainName | null {
  if (type === TYPE.CNAME || type === TYPE.ANY) return null;
  const data = sets.get(TYPE.CNAME)?.[0]?.data;
  return data?.kind === "CNAME" ? data.target : null;
}

const NS_LABEL = String.fromCharCode(NAME_SERVER_LABEL.length) + NAME_SERVER_LABEL;

function nameServerOf(apex: NameKey): DomainName | null {
  return below(NAME_SERVER_LABEL, nameOf(apex));
}

/** The name server of each zone is whoever answers: the view's own addresses. */
function addressSets(owner: DomainName, { servers }: Vantage): Sets {
  const sets = new Map<number, DnsRecord[]>();
  for (const address of servers) {
    const kind = address.includes(":") ? "AAAA" : "A";
    const records = sets.get(TYPE[kind]) ?? [];
    records.push(record(owner, TYPE[kind], SERVER_TTL, { kind, address }));
    sets.set(TYPE[kind], records);
  }
  return sets;
}

function record(name: DomainName, type: number, ttl: number, data: RecordData): DnsRecord {
  return { name, type, class: CLASS.IN, ttl, data };
}
