import { type DomainName, formatName, isAtOrBelow, type NameKey } from "../../lib/domain-name.ts";
import { type DnsUpdate, type Prerequisite, type RecordChange, valueKey } from "../../lib/dns-record.ts";
import { CLASS, EDNS_OPTION, isMetaType, type RcodeName, TYPE, typeName } from "./constants.ts";
import type { DnsRecord, Edns, Message } from "./message.ts";
import { needsData, rdataText } from "./rdata/index.ts";

/** Records in the two sections together. Clients send some hundred at most; what comes is held until it is decided. */
export const UPDATE_RECORDS_MAX = 1000;
/** Of the names of all records: compression lets a message name very much more than it is long. */
const UPDATE_NAMES_OCTETS_MAX = 32_768;

/** What an UPDATE is refused with before anyone looks at what there is. */
export class DnsUpdateError extends Error {
  override readonly name = "DnsUpdateError";
  readonly rcode: RcodeName;

  constructor(rcode: RcodeName, message: string) {
    super(message);
    this.rcode = rcode;
  }
}

/**
 * What an UPDATE asks for. Both sections are looked through before either counts (as BIND does, where RFC 2136 §3 has the
 * prerequisites decided first): whether a message is well formed says nothing of what is in the zone.
 * Whether the zone is ours is for those to say who know it. Throws nothing but `DnsUpdateError`.
 */
export function readUpdate(message: Message): DnsUpdate {
  const zone = zoneOf(message);
  if (message.answers.length + message.authorities.length > UPDATE_RECORDS_MAX) {
    throw new DnsUpdateError("REFUSED", `more than ${UPDATE_RECORDS_MAX} records in one update`);
  }
  const names = [...message.answers, ...message.authorities].reduce((sum, each) => sum + each.name.wire.length, 0);
  if (names > UPDATE_NAMES_OCTETS_MAX) throw new DnsUpdateError("REFUSED", "its names are too long; send it in parts");
  const prerequisites = readPrerequisites(message.answers, zone.key);
  const changes = message.authorities.map((record) => changeOf(record, zone.key));
  return { zone: formatName(zone.key), prerequisites, changes, lease: leaseOf(message.edns) };
}

/** RFC 2136 §3.1.1. */
function zoneOf({ questions }: Message): DomainName {
  const [zone] = questions;
  if (zone === undefined || questions.length > 1) malformed("the zone section does not name one zone");
  if (zone.type !== TYPE.SOA) malformed("the zone section is not of type SOA");
  // As BIND and Knot answer; their zones are of class IN as ours are.
  if (zone.class !== CLASS.IN) throw new DnsUpdateError("NOTIMP", "a zone of another class than IN");
  return zone.name;
}

function malformed(message: string): never {
  throw new DnsUpdateError("FORMERR", message);
}

/** RFC 2136 §3.2: in the order of the message, but for those that name values, which are compared last, RRset by RRset. */
function readPrerequisites(records: readonly DnsRecord[], zone: NameKey): Prerequisite[] {
  const prerequisites: Prerequisite[] = [];
  const equal = new Map<string, { kind: "rrset-equals"; name: string; type: string; values: string[] }>();
  for (const record of records) {
    const { type, ttl } = record;
    if (ttl !== 0) malformed("a prerequisite whose TTL is not 0");
    if (record.class === CLASS.ANY || record.class === CLASS.NONE) {
      if (record.data.kind !== "empty") malformed("a prerequisite of class ANY or NONE that has data");
      if (isMetaType(type) && type !== TYPE.ANY) malformed(`a prerequisite of type ${typeName(type)}`);
    } else if (record.class !== CLASS.IN) malformed("a prerequisite of another class than the zone's");
    else if (isMetaType(type)) malformed(`a prerequisite of type ${typeName(type)}, which has no values`);
    const name = formatName(record.name.key);
    if (!isAtOrBelow(record.name.key, zone)) prerequisites.push({ kind: "outside", name });
    else if (record.class !== CLASS.IN) prerequisites.push(presence(name, type, record.class === CLASS.ANY));
    else {
      const set = equal.get(`${type} ${name}`) ?? { kind: "rrset-equals", name, type: typeName(type), values: [] };
      equal.set(`${type} ${name}`, set);
      set.values.push(rdataText(type, record.data));
    }
  }
  for (const set of equal.values()) prerequisites.push({ ...set, values: different(set.type, set.values) });
  return prerequisites;
}

/** RFC 2136 §2.4.1, §2.4.3 to §2.4.5. */
function presence(name: string, type: number, there: boolean): Prerequisite {
  if (type === TYPE.ANY) return { kind: there ? "name-in-use" : "name-not-in-use", name };
  return { kind: there ? "rrset-exists" : "rrset-absent", name, type: typeName(type) };
}

/** An RRset is a set: what is named twice is in it once. */
function different(type: string, values: readonly string[]): string[] {
  return [...new Map(values.map((value) => [valueKey(type, value), value])).values()];
}

/** RFC 2136 §3.4.1, and §2.5 for what it means. */
function changeOf(record: DnsRecord, zone: NameKey): RecordChange {
  const { type, ttl, data } = record;
  const name = formatName(record.name.key);
  if (!isAtOrBelow(record.name.key, zone)) throw new DnsUpdateError("NOTZONE", `${name} is not in the zone`);
  if (record.class === CLASS.IN) {
    if (isMetaType(type)) malformed(`records of type ${typeName(type)} cannot be stored`);
    return { kind: "add", name, type: typeName(type), ttl, value: rdataText(type, data) };
  }
  if (ttl !== 0) malformed("a deletion whose TTL is not 0");
  if (record.class === CLASS.ANY) {
    if (data.kind !== "empty") malformed("a deletion of an RRset that has data");
    if (type === TYPE.ANY) return { kind: "delete-name", name };
    if (isMetaType(type)) malformed(`records of type ${typeName(type)} cannot be stored`);
    return { kind: "delete-rrset", name, type: typeName(type) };
  }
  if (record.class !== CLASS.NONE) malformed("an update of another class than the zone's");
  if (isMetaType(type)) malformed(`records of type ${typeName(type)} cannot be stored`);
  if (data.kind === "empty" && needsData(type)) malformed(`a deletion of a ${typeName(type)} record that has no data`);
  const value = rdataText(type, data.kind === "empty" ? { kind: "opaque", bytes: new Uint8Array() } : data);
  return { kind: "delete-value", name, type: typeName(type), value };
}

/** RFC 9664 §4: for all records, and in the longer form also for keys, of which we have none. */
function leaseOf(edns: Edns | null): number | null {
  const option = edns?.options.find(({ code }) => code === EDNS_OPTION.UPDATE_LEASE);
  if (option === undefined) return null;
  const { data } = option;
  if (data.length !== 4 && data.length !== 8) malformed("an update lease of neither 4 nor 8 octets");
  return new DataView(data.buffer, data.byteOffset).getUint32(0);
}

/** What is granted, in the shorter form: of keys, which the longer one has a lease of its own for, we keep none. */
export function leaseOption(seconds: number): Edns["options"][number] {
  const data = new Uint8Array(4);
  new DataView(data.buffer).setUint32(0, seconds);
  return { code: EDNS_OPTION.UPDATE_LEASE, data };
}
