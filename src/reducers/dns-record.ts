import type { PortreeveRecord } from "../events/index.ts";
import { assert } from "../lib/assert.ts";
import { isAddressType } from "../lib/dns-record.ts";
import { type Table, tableDelete, tableGet, tableSet } from "../lib/table.ts";
import { without } from "./fork.ts";
import { siteInterface } from "./served.ts";
import { allowedNameKey, type Device, type DnsName, type DnsRecord, type Published, type State } from "./state.ts";
import { spendToken } from "./usage.ts";
import { causedByDevice } from "./mapping.ts";

/** A record and the name it is at, by its id. */
export function recordWithId(state: State, id: string): { holder: DnsName; record: DnsRecord } | undefined {
  const name = tableGet(state.recordNames, id);
  const holder = name === undefined ? undefined : tableGet(state.names, name);
  const record = holder?.records.find((each) => each.id === id);
  return holder === undefined || record === undefined ? undefined : { holder, record };
}

/** Names that a device put here, sorted. */
export const namesOfDevice = (state: State, id: string): DnsName[] =>
  (tableGet(state.namesOf, id) ?? []).map((name) => tableGet(state.names, name) as DnsName);

const NOTHING: Published = { records: 0, characters: 0 };

export const publishedBy = (state: State, device: string): Published => tableGet(state.published, device) ?? NOTHING;

/** Of records at one name: a limit on memory counts the name with each of them. */
export function sizeOf(name: string, records: readonly DnsRecord[]): Published {
  const characters = records.reduce((sum, { value }) => sum + name.length + value.length, 0);
  return { records: records.length, characters };
}

/** One record as it joins a name, which may be new. */
interface Joining {
  readonly name: string;
  readonly device: string | null;
  readonly views: readonly string[] | null;
  readonly record: DnsRecord;
}

export function onDnsUpdated(draft: State, record: PortreeveRecord<"dns.updated">): void {
  const { device: id, lifetime, expiresAt, removed, added, retimed } = record.event.data;
  const device = tableGet(draft.devices, id);
  assert(device !== undefined, `no device ${id}`);
  for (const each of removed) removeRecord(draft, each, record.seq);
  for (const { id: recordId, ttl } of retimed) {
    editRecord(draft, recordId, { ttl, lifetime, expiresAt }, record.seq);
  }
  for (const { id: recordId, name, type, ttl, value } of added) {
    const row = { id: recordId, type, ttl, value, lifetime, expiresAt, createdAt: record.at, revision: record.seq };
    addRecord(draft, { name, device: id, views: null, record: row }, record.seq);
  }
  charge(draft, record, device);
}

function charge(draft: State, record: PortreeveRecord, device: Device): void {
  const site = siteInterface(draft, device);
  if (causedByDevice(record.source) && site !== null) spendToken(draft, site, device.address, record.at);
}

export function onRecordAdded(draft: State, record: PortreeveRecord<"record.added">): void {
  const { name, device, views, ...data } = record.event.data;
  addRecord(
    draft,
    { name, device, views, record: { ...data, createdAt: record.at, revision: record.seq } },
    record.seq,
  );
}

export function onRecordChanged(draft: State, record: PortreeveRecord<"record.changed">): void {
  const { id, ...fields } = record.event.data;
  editRecord(draft, id, fields, record.seq);
}

export function onRecordRemoved(draft: State, record: PortreeveRecord<"record.removed">): void {
  removeRecord(draft, record.event.data.id, record.seq);
}

/** Changes nothing of what is served. */
export function onRecordsRenewed(draft: State, record: PortreeveRecord<"records.renewed">): void {
  for (const { id, expiresAt } of record.event.data.deadlines) {
    const { holder } = requireRecord(draft, id);
    const records = holder.records.map((each) => (each.id === id ? { ...each, expiresAt } : each));
    tableSet(draft.names, holder.name, { ...holder, records });
  }
}

export function onNameAllowed(draft: State, record: PortreeveRecord<"name.allowed">): void {
  const { device, name } = record.event.data;
  draft.allowedNames = { ...draft.allowedNames, [allowedNameKey(device, name)]: { device, name, at: record.at } };
}

export function onNameWithdrawn(draft: State, record: PortreeveRecord<"name.withdrawn">): void {
  const { device, name } = record.event.data;
  draft.allowedNames = without(draft.allowedNames, allowedNameKey(device, name));
}

function requireRecord(draft: State, id: string): { holder: DnsName; record: DnsRecord } {
  const found = recordWithId(draft, id);
  assert(found !== undefined, `no record ${id}`);
  return found;
}

function addRecord(draft: State, { name, device, views, record }: Joining, seq: number): void {
  assert(tableGet(draft.recordNames, record.id) === undefined, `record ${record.id} exists`);
  const before = tableGet(draft.names, name);
  assert(before === undefined || before.device === device, `${name} is another's`);
  const holder = before ?? { name, device, views: views === null ? null : [...views], records: [], revision: seq };
  tableSet(draft.recordNames, record.id, name);
  putRecords(draft, holder, [...withTtl(holder.records, record.type, record.ttl), record], seq);
  if (before === undefined && device !== null) listName(draft.namesOf, device, name);
}

type Fields = { readonly [Key in "ttl" | "value" | "lifetime" | "expiresAt"]?: DnsRecord[Key] | undefined };

function editRecord(draft: State, id: string, fields: Fields, seq: number): void {
  const { holder, record } = requireRecord(draft, id);
  const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
  const edited: DnsRecord = { ...record, ...given, revision: seq };
  const others = holder.records.filter((each) => each !== record);
  putRecords(draft, holder, [...withTtl(others, edited.type, edited.ttl), edited], seq);
}

/** RFC 2181 §5.2: one TTL for all of an RRset, the last that was given. */
const withTtl = (records: readonly DnsRecord[], type: string, ttl: number): DnsRecord[] =>
  records.map((each) => (each.type === type && each.ttl !== ttl ? { ...each, ttl } : each));

function removeRecord(draft: State, id: string, seq: number): void {
  const { holder, record } = requireRecord(draft, id);
  tableDelete(draft.recordNames, id);
  const rest = holder.records.filter((each) => each !== record);
  putRecords(draft, holder, rest, seq);
  if (rest.length === 0 && holder.device !== null) unlistName(draft.namesOf, holder.device, holder.name);
}

/** In an order that is no matter of history: what an undo gives back is where it was. */
const inOrder = (a: DnsRecord, b: DnsRecord): number => {
  const [left, right] = a.type === b.type ? [a.value, b.value] : [a.type, b.type];
  return left < right ? -1 : left > right ? 1 : 0;
};

function putRecords(draft: State, holder: DnsName, records: DnsRecord[], seq: number): void {
  const { name } = holder;
  const [before, after] = [addressesOf(holder.records), addressesOf(records)];
  for (const address of before) if (!after.has(address)) unlistName(draft.namesAt, address, name);
  for (const address of after) if (!before.has(address)) listName(draft.namesAt, address, name);
  if (records.length === 0) tableDelete(draft.names, name);
  else tableSet(draft.names, name, { ...holder, records: records.toSorted(inOrder), revision: seq });
  if (holder.device !== null) countPublished(draft, holder.device, sizeOf(name, holder.records), sizeOf(name, records));
  draft.dnsRevision = seq;
}

function countPublished(draft: State, device: string, before: Published, after: Published): void {
  const all = publishedBy(draft, device);
  const records = all.records - before.records + after.records;
  const characters = all.characters - before.characters + after.characters;
  if (records === 0) tableDelete(draft.published, device);
  else tableSet(draft.published, device, { records, characters });
}

const addressesOf = (records: readonly DnsRecord[]): Set<string> =>
  new Set(records.flatMap(({ type, value }) => (isAddressType(type) ? [value] : [])));

function listName(table: Table<string[]>, key: string, name: string): void {
  const names = tableGet(table, key) ?? [];
  const place = placeOf(names, name);
  if (names[place] !== name) tableSet(table, key, names.toSpliced(place, 0, name));
}

/** Where a name is in a sorted list, or would be: an address may have thousands. */
function placeOf(names: readonly string[], name: string): number {
  let [low, high] = [0, names.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((names[middle] as string) < name) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Whether a sorted list has a name. */
export const isListed = (names: readonly string[] | undefined, name: string): boolean =>
  names !== undefined && names[placeOf(names, name)] === name;

function unlistName(table: Table<string[]>, key: string, name: string): void {
  const names = tableGet(table, key) ?? [];
  const place = placeOf(names, name);
  if (names[place] !== name) return;
  if (names.length === 1) tableDelete(table, key);
  else tableSet(table, key, names.toSpliced(place, 1));
}
