import type { EventData, PortreeveRecord } from "../../src/events/index.ts";
import type { DnsUpdate } from "../../src/lib/dns-record.ts";
import { expectedRows, type NamedRecord, type Names } from "./names.ts";
import type { Sent } from "./rules.ts";

/** A record as far as an update is about it. */
interface Plain {
  readonly type: string;
  readonly ttl: number;
  readonly value: string;
}

export const leaseOf = ({ lease }: DnsUpdate): number => Math.min(Math.max(lease ?? 86_400, 30), 604_800);

/** What RFC 2136 §3.4.2 makes of the records of each name that an update speaks of. */
export function updated(names: Names, { changes }: DnsUpdate): Map<string, Plain[]> {
  const after = new Map<string, Plain[]>();
  for (const change of changes) {
    const { name } = change;
    const there = after.get(name) ?? names.at(name);
    if (change.kind === "delete-name") after.set(name, []);
    else if (change.kind === "delete-rrset") {
      const kept = there.filter(({ type }) => type !== change.type);
      after.set(name, kept);
    } else if (change.kind === "delete-value") {
      const kept = there.filter(({ type, value }) => type !== change.type || value !== change.value);
      after.set(name, kept);
    } else {
      const { type, ttl, value } = change;
      const alone = names.deviceNamed(name) !== undefined;
      const isAlias = there.some((each) => each.type === "CNAME");
      const stays = type === "CNAME" ? (there.length > 0 && !isAlias) || alone : isAlias;
      const others = there.filter((each) => each.type !== type || (type !== "CNAME" && each.value !== value));
      const timed = others.map((each) => (each.type === type ? { ...each, ttl } : each));
      after.set(name, stays ? there : [...timed, { type, ttl, value }]);
    }
  }
  return after;
}

/** The code with which an update must be refused; null: with none. */
export function refusalOf(names: Names, device: string, { changes, prerequisites }: DnsUpdate): string | null {
  for (const name of new Set(changes.map((change) => change.name))) {
    const refusal = names.refusalOf(device, name);
    if (refusal !== null) return refusal;
  }
  for (const each of prerequisites) {
    const types = new Set(names.at(each.name).map(({ type }) => type));
    const own = names.deviceNamed(each.name) !== undefined && !types.has("A") && !types.has("CNAME");
    if (own) types.add("A");
    if (each.kind === "name-in-use" && types.size === 0) return "DNS_NAME_ABSENT";
    if (each.kind === "name-not-in-use" && types.size > 0) return "DNS_NAME_IN_USE";
    if (each.kind === "rrset-exists" && !types.has(each.type)) return "DNS_RRSET_ABSENT";
    if (each.kind === "rrset-absent" && types.has(each.type)) return "DNS_RRSET_EXISTS";
  }
  return null;
}

const textOf = (records: readonly Plain[]): string =>
  records
    .map(({ type, ttl, value }) => `${type} ${ttl} ${value}`)
    .sort()
    .join(", ");

/** What is other at the names of an update than it should be; null: nothing. */
export function wrongNames(wanted: ReadonlyMap<string, readonly Plain[]>, names: Names): string | null {
  for (const [name, records] of wanted) {
    const [should, is] = [textOf(records), textOf(names.at(name))];
    if (should !== is) return `${name} has "${is}" and should have "${should}"`;
  }
  return null;
}

/** Whoever was told yes, and asks, sees it: what is served otherwise at the names of an update that was answered at `seq`. */
export function* unserved(
  names: Names,
  { changes }: DnsUpdate,
  seq: number,
  served: ReadonlyMap<string, string>,
): Generator<string> {
  // A thread that just ended has nothing.
  if (served.size === 0) return;
  const expected = expectedRows(names);
  for (const name of new Set(changes.map((change) => change.name))) {
    // What was decided since may be on its way.
    if ((names.touchedAt.get(name) ?? 0) > seq) continue;
    const [should, is] = [expected.get(`name|${name}`), served.get(`name|${name}`)];
    if (should !== is) yield `${name} was acknowledged as "${should}" and is served as "${is}"`;
  }
}

/** Why a record about names should not have been made; null: it is right, or about something else. */
export function unjustifiedName(record: PortreeveRecord, sent: Sent, before: Names, undecided: readonly Sent[]) {
  const { event } = record;
  switch (event.type) {
    case "dns.updated":
      return wrongUpdate(event.data, sent, before);
    case "record.removed":
      return wrongRemoval(event.data, sent, before.records.get(event.data.id));
    case "records.renewed":
      return wrongDeadlines(event.data, before, undecided);
    case "record.added": {
      if (sent.type !== "record.add") return `added by ${sent.type}`;
      const owner = before.ownerOf(sent.name);
      if (owner !== null && owner !== "operator") return `an operator's record at ${owner}'s name`;
      const same = event.data.type === sent.recordType && event.data.value === sent.value && event.data.device === null;
      return same && event.data.name === sent.name ? null : "not the record that the operator added";
    }
    case "record.changed":
      return sent.type === "record.edit" || sent.type === "record.add" ? null : `changed by ${sent.type}`;
    case "device.added":
      return sent.type === "device.add" && sent.name === event.data.name ? null : `added by ${sent.type}`;
    case "device.removed":
      return sent.type === "device.remove" && sent.id === event.data.id ? null : `removed by ${sent.type}`;
    default:
      return null;
  }
}

function wrongUpdate(data: EventData<"dns.updated">, sent: Sent, before: Names): string | null {
  if (sent.type !== "dns.update" || sent.device !== data.device) return `updated by ${sent.type}`;
  const lease = leaseOf(sent.update);
  if (data.lifetime !== lease || data.expiresAt !== sent.now + lease * 1000) return "another lease than was asked for";
  const needless = data.retimed.find(({ id, ttl }) => {
    const record = before.records.get(id);
    return record !== undefined && record.ttl === ttl && lease * 1000 <= (record.lifetimeMs ?? 0);
  });
  if (needless !== undefined) return `an event for ${needless.id}, which is as it was`;
  return data.removed.length + data.added.length + data.retimed.length > 0 ? null : "an event that changes nothing";
}

function wrongRemoval(
  { reason }: EventData<"record.removed">,
  sent: Sent,
  record: NamedRecord | undefined,
): string | null {
  if (record === undefined) return "removed a record that is not there";
  switch (reason) {
    case "operator":
      return sent.type === "record.remove" && sent.id === record.id ? null : `removed for an operator by ${sent.type}`;
    case "expired":
      if (sent.type !== "leases.expire") return `expired by ${sent.type}`;
      if (record.promised === null) return "ended a record that has no end";
      return record.promised > sent.now ? `ended ${record.promised - sent.now} ms before it was promised to` : null;
    case "device":
      return sent.type === "device.remove" && sent.id === record.device ? null : `went with a device by ${sent.type}`;
    default: {
      const withdraws = sent.type === "device.edit" || (sent.type === "name.allow" && !sent.allowed);
      return withdraws && sent.id === record.device ? null : `lost its right by ${sent.type}`;
    }
  }
}

function wrongDeadlines(
  { deadlines }: EventData<"records.renewed">,
  before: Names,
  undecided: readonly Sent[],
): string | null {
  for (const { id, expiresAt } of deadlines) {
    const record = before.records.get(id);
    if (record?.promised == null || record.latest === null) return `wrote a deadline of ${id}, which has none`;
    // A renewal makes no record; one of the same commit shows in what an operator ended.
    const isUndecided = undecided.some(
      (sent) => sent.type === "dns.update" && expiresAt === sent.now + leaseOf(sent.update) * 1000,
    );
    if (isUndecided) continue;
    if (expiresAt < record.promised) return `wrote a deadline of ${id} ${record.promised - expiresAt} ms too early`;
    if (expiresAt > record.latest) return `wrote a deadline of ${id} ${expiresAt - record.latest} ms too late`;
  }
  return null;
}
