import { type DnsUpdated, TTL_MAX } from "../../events/dns.ts";
import { event } from "../../events/index.ts";
import { type DnsUpdate, isAddressType, type RecordChange } from "../../lib/dns-record.ts";
import { isWithin } from "../../lib/domain-name.ts";
import { tableGet } from "../../lib/table.ts";
import { publishedBy, recordWithId } from "../dns-record.ts";
import { deviceOfName, ownRecords, type View, viewOf, zoneViews } from "../dns-view.ts";
import type { Device, State } from "../state.ts";
import { tokensLeft, usagesOf } from "../usage.ts";
import type { Decision, Refusal, SubmissionOf } from "./command.ts";
import type { Renewal } from "../deadlines.ts";
import { isApexIn, isZoneIn, unmet } from "./dns-prerequisite.ts";
import { outOfScope, withoutRight } from "./dns-scope.ts";
import { newId } from "./new-id.ts";
import { accept, refuse } from "./refusal.ts";
import { changed, type DraftRecord, type Fixed, tooLongTogether } from "./rrset-change.ts";

/** A device's DNS UPDATE (RFC 2136), whose sender and form have been checked. */
export interface DnsUpdateCommand {
  readonly type: "dns.update";
  /** Device id: its key and its source address say so. */
  readonly device: string;
  /** The served interface that it came in on. */
  readonly interface: string;
  readonly signed: boolean;
  readonly update: DnsUpdate;
}

/** Seconds: of an update that asks for none, and what one may ask for (RFC 9664 §5.2). */
const LEASE_USUAL = 86_400;
const LEASE_MIN = 30;
const LEASE_MAX = 7 * 86_400;

/** Answers stay small, and a look-up quick (CVE-2024-1737). */
const RECORDS_PER_NAME_MAX = 100;
export const NAMES_MAX = 65_536;

/**
 * Characters, as they are in the log, in memory and in snapshots, of names and values: of one value, of all that one update
 * says, and of all that a device has. An ACME challenge is 45, a DKIM key some 400.
 */
const VALUE_MAX = 4096;
const SAID_MAX = 32_768;
const HELD_MAX = 262_144;

/** What devices may add: what they are, and what others check of them; no delegation, nothing of DNSSEC. */
const TYPES: ReadonlySet<string> = new Set(["A", "AAAA", "CNAME", "TXT", "SRV", "PTR", "CAA", "HTTPS", "SVCB"]);

interface Updating {
  readonly command: SubmissionOf<"dns.update">;
  readonly state: State;
  readonly device: Device;
  readonly view: View;
}

/** RFC 2136 §3; whether the sender may is asked before the prerequisites, which else would tell everyone what is there. */
export function decideDnsUpdate(command: SubmissionOf<"dns.update">, state: State): Decision {
  const device = tableGet(state.devices, command.device);
  const view = device === undefined ? undefined : viewOf(state, device);
  if (device === undefined || view === undefined || view.interface !== command.interface) {
    return refuse("NOT_AUTHORIZED", "the sender is no device that is served there");
  }
  if (device.dns === "off") return { ok: false, refusal: withoutRight(device) };
  const updating: Updating = { command, state, device, view };
  const refusal =
    tooMuchSaid(command.update) ??
    unsignedBeyond(updating) ??
    notPermitted(updating) ??
    unmet(command.update, state, view);
  return refusal === null ? carryOut(updating) : { ok: false, refusal };
}

/** Before anything is looked up: what it costs hangs on it. */
function tooMuchSaid({ prerequisites, changes }: DnsUpdate): Refusal | null {
  let said = 0;
  for (const each of [...prerequisites, ...changes]) {
    const values = "values" in each ? each.values : "value" in each ? [each.value] : [];
    said += each.name.length + values.reduce((sum, value) => sum + value.length, 0);
  }
  if (said <= SAID_MAX) return null;
  const message = `the names and values of an update may have ${SAID_MAX} characters, and this one has ${said}; send it in parts`;
  return { code: "QUOTA_EXCEEDED", message };
}

function notPermitted({ command, state, device, view }: Updating): Refusal | null {
  const { zone, changes } = command.update;
  // Of the reference the zone is the parent of the name, which need not be a zone of ours where the name itself may be.
  if (!isZoneIn(state, view, zone) && (changes.length === 0 || zone === ".")) {
    return { code: "DNS_NOT_AUTHORITATIVE", message: `${zone} is no zone of this gateway` };
  }
  for (const name of new Set(changes.map((each) => each.name))) {
    if (!isWithin(name, zone)) {
      return { code: "DNS_NOT_ZONE", message: `${name} is not in ${zone}` };
    }
    const refusal = isApexNoise(state, name, changes) ? null : outOfScope(state, device, view, name);
    if (refusal !== null) return refusal;
  }
  const bad = changes.find((each) => each.kind === "add" && !TYPES.has(each.type) && !isServersOwn(state, each));
  if (bad !== undefined && "type" in bad) {
    return { code: "NOT_AUTHORIZED", message: `records of type ${bad.type} are not taken from devices` };
  }
  return null;
}

/** SOA, and NS at the apex of a zone: passed over, so nobody's permission is needed for it. */
const isServersOwn = (state: State, { name, type }: { readonly name: string; readonly type: string }): boolean =>
  type === "SOA" || (type === "NS" && zoneViews(state, name) !== undefined);

const isApexNoise = (state: State, name: string, changes: readonly RecordChange[]): boolean =>
  changes.every((each) => each.name !== name || ("type" in each && isServersOwn(state, each)));

/** Without a signature: the sender's own address, which its source address is proof of on a LAN that says so. */
function unsignedBeyond({ command, device, view }: Updating): Refusal | null {
  if (command.signed) return null;
  if (!view.unsignedUpdates) return { code: "NOT_AUTHORIZED", message: "updates have to be signed here" };
  const own = (each: RecordChange): boolean => {
    if (each.kind === "delete-name") return false;
    if (each.kind === "delete-rrset") return isAddressType(each.type);
    return each.type === "A" && each.value === device.address;
  };
  const { prerequisites, changes } = command.update;
  if (prerequisites.length === 0 && changes.every(own)) return null;
  const message = `without a signature ${device.name} may publish its own address and nothing else; \`portreeve device key ${device.name}\` prints its key`;
  return { code: "NOT_AUTHORIZED", message };
}

/** All of it at once: no state in between is ever seen. */
function carryOut(updating: Updating): Decision {
  const { command, device } = updating;
  const drafts = draftsOf(updating);
  const lifetime = Math.min(Math.max(command.update.lease ?? LEASE_USUAL, LEASE_MIN), LEASE_MAX);
  const expiresAt = command.now + lifetime * 1000;
  const { removed, added, retimed, renewals } = differences(updating, drafts, { lifetime, expiresAt });
  const answer = { kind: "updated", lease: lifetime } as const;
  if (removed.length + added.length + retimed.length === 0) return accept([], answer, renewals);
  const refusal = tooLong(updating, added, removed) ?? beyondQuota(updating, drafts, added.length - removed.length);
  if (refusal !== null) return { ok: false, refusal };
  const updated = { device: device.id, lifetime, expiresAt, removed, added, retimed };
  return accept([event("dns.updated", updated)], answer, renewals);
}

/** The records of each name that the update speaks of, as it leaves them. */
function draftsOf({ command, state, view }: Updating): Map<string, readonly DraftRecord[]> {
  const drafts = new Map<string, readonly DraftRecord[]>();
  for (const each of command.update.changes) {
    const { name } = each;
    const records = drafts.get(name) ?? storedAt(state, name);
    drafts.set(name, changed(records, withinLimits(each), fixedAt(state, view, name)));
  }
  return drafts;
}

const storedAt = (state: State, name: string): DraftRecord[] =>
  (tableGet(state.names, name)?.records ?? []).map(({ id, type, ttl, value }) => {
    return { id, type, ttl, value, asserted: false };
  });

/** RFC 2181 §8: a TTL with the top bit set is zero. */
function withinLimits(change: RecordChange): RecordChange {
  if (change.kind !== "add") return change;
  return { ...change, ttl: change.ttl > 0x7fff_ffff ? 0 : Math.min(change.ttl, TTL_MAX) };
}

function fixedAt(state: State, view: View, name: string): Fixed {
  const device = deviceOfName(state, name);
  const types = device === undefined ? [] : ownRecords(state, device, []).map(({ type }) => type);
  return { apex: isApexIn(state, view, name), types };
}

type Differences = Pick<DnsUpdated, "removed" | "added" | "retimed"> & { readonly renewals: Renewal[] };

/**
 * What was said again and is as it was lives longer in memory alone; only a life that is longer than the logged one is an
 * event, as a restart must honour it.
 */
function differences(
  { command, state }: Updating,
  drafts: ReadonlyMap<string, readonly DraftRecord[]>,
  { lifetime, expiresAt }: { readonly lifetime: number; readonly expiresAt: number },
): Differences {
  const found: Differences = { removed: [], added: [], retimed: [], renewals: [] };
  for (const [name, records] of drafts) {
    const before = tableGet(state.names, name)?.records ?? [];
    const left = new Map(before.map((record) => [record.id, record]));
    for (const { id, type, ttl, value, asserted } of records) {
      // Deleted and added again in one message it has not changed.
      const same = id ?? before.find((each) => left.has(each.id) && each.type === type && each.value === value)?.id;
      const stored = same === undefined ? undefined : left.get(same);
      if (stored === undefined) {
        const seed = `${command.requestId} ${found.added.length}`;
        found.added.push({ id: newId("r", state, { ...command, requestId: seed }), name, type, ttl, value });
        continue;
      }
      left.delete(stored.id);
      const longer = asserted && lifetime > (stored.lifetime ?? lifetime);
      if (stored.ttl !== ttl || longer) found.retimed.push({ id: stored.id, ttl });
      else if (asserted) found.renewals.push({ recordId: stored.id, expiresAt });
    }
    found.removed.push(...left.keys());
  }
  return found;
}

function tooLong({ state, device }: Updating, added: DnsUpdated["added"], removed: readonly string[]): Refusal | null {
  if (added.length === 0) return null;
  const refused = (message: string): Refusal => ({ code: "QUOTA_EXCEEDED", message });
  const long = added.find(({ value }) => value.length > VALUE_MAX);
  if (long !== undefined) return refused(`${long.name} ${long.type} is longer than ${VALUE_MAX} characters`);
  const more = added.reduce((sum, { name, value }) => sum + name.length + value.length, 0);
  let held = publishedBy(state, device.id).characters + more;
  for (const id of removed) {
    const gone = recordWithId(state, id);
    if (gone !== undefined) held -= gone.holder.name.length + gone.record.value.length;
  }
  return held > HELD_MAX ? refused(`the records of ${device.name} may have ${HELD_MAX} characters`) : null;
}

function beyondQuota(
  { command, state, device }: Updating,
  drafts: ReadonlyMap<string, readonly DraftRecord[]>,
  more: number,
): Refusal | null {
  const limits = state.settings.portControl.perDevice;
  const { records } = state.settings.dns.perDevice;
  const full = [...drafts].find(([, there]) => there.length > RECORDS_PER_NAME_MAX);
  if (full !== undefined) {
    return { code: "QUOTA_EXCEEDED", message: `${full[0]} would have over ${RECORDS_PER_NAME_MAX} records` };
  }
  for (const [name, there] of drafts) {
    const types = new Set(there.filter(({ id }) => id === null).map(({ type }) => type));
    for (const type of types) {
      const rrset = there.filter((each) => each.type === type);
      const long = tooLongTogether(name, type, rrset);
      if (long !== null) return long;
    }
  }
  const held = publishedBy(state, device.id).records;
  if (held + more > records && more > 0) {
    return { code: "QUOTA_EXCEEDED", message: `${device.name} has ${held} records and may have ${records}` };
  }
  if (more > 0 && state.names.size + drafts.size > NAMES_MAX) {
    return { code: "QUOTA_EXCEEDED", message: `there are ${state.names.size} names, as many as there may be` };
  }
  if (tokensLeft(usagesOf(state, device.interface, device.address), limits, command.now) >= 1) return null;
  const message = `${device.name} changes its names too often; ${limits.eventsPerMinute} changes a minute are let through`;
  return { code: "EVENT_QUOTA_EXCEEDED", message, retryAfter: 30 };
}
