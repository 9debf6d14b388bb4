import { event, type PortreeveEvent } from "../../events/index.ts";
import { sameValue } from "../../lib/dns-record.ts";
import { tableGet } from "../../lib/table.ts";
import { outOfScope } from "../decide/dns-scope.ts";
import { aliasClash } from "../decide/dns-record.ts";
import { recordWithId } from "../dns-record.ts";
import { viewOf } from "../dns-view.ts";
import type { DnsName, DnsRecord, State } from "../state.ts";
import {
  CHANGED_SINCE,
  type Description,
  fieldsBack,
  type Hindrance,
  objectKind,
  refOf,
  type RevertTerms,
  saysManaged,
  timeText,
  unchanged,
} from "./kind.ts";

const KIND = "record";
const FIELDS = ["ttl", "value"] as const;

/** One record of the DNS, and the name it is at. */
interface Named extends DnsRecord, Pick<DnsName, "name" | "device" | "views"> {}

export const records = objectKind<Named>({
  name: KIND,
  keysOf,
  read(state, key) {
    const found = recordWithId(state, key);
    if (found === undefined) return undefined;
    const { name, device, views } = found.holder;
    return { ...found.record, name, device, views };
  },
  describe,
  takeAway(made, now) {
    if (!unchanged(made, now, FIELDS)) return { why: CHANGED_SINCE, by: [refOf(KIND, now.id)] };
    return [event("record.removed", { id: now.id, reason: "operator" })];
  },
  edit(versions, terms) {
    // A device that retimes what it has changes nothing that was anybody else's.
    if (terms.revoke) return [];
    const fields = fieldsBack(versions, FIELDS);
    const { now } = versions;
    if (fields === null) return { why: CHANGED_SINCE, by: [refOf(KIND, now.id)] };
    if (Object.keys(fields).length === 0) return [];
    return twinOf({ ...now, ...fields }, terms) ?? [event("record.changed", { id: now.id, ...fields })];
  },
  giveBack(ended, terms) {
    const { createdAt: _at, revision: _revision, ...record } = ended;
    if (ended.expiresAt !== null && ended.expiresAt <= terms.at) return [];
    return twinOf(ended, terms) ?? hindranceOf(ended, terms) ?? [event("record.added", record)];
  },
});

/** Renewals name many records and change what is the case with none. */
function keysOf({ type, data }: PortreeveEvent): string[] {
  switch (type) {
    case "record.added":
    case "record.changed":
    case "record.removed":
      return [data.id];
    case "dns.updated":
      return [...data.removed, ...[...data.added, ...data.retimed].map(({ id }) => id)];
    default:
      return [];
  }
}

function describe({ name, type, value, ttl, device, views, expiresAt, managedBy }: Named, state: State): Description {
  return {
    name: `${name} ${type} ${value}`,
    says: {
      value,
      TTL: `${ttl} s`,
      "put there by": device === null ? "an operator" : (tableGet(state.devices, device)?.name ?? device),
      "seen by": device === null ? (views?.join(", ") ?? "everyone") : "where the device is",
      ends: timeText(expiresAt),
      ...saysManaged({ managedBy }),
    },
  };
}

/** The same value was put there since by another request. */
function twinOf({ id, name, type, value }: Named, { now, own }: RevertTerms): Hindrance | null {
  const twin = tableGet(now.names, name)?.records.find(
    (each) => each.id !== id && each.type === type && sameValue(type, each.value, value),
  );
  if (twin === undefined || own.has(refOf(KIND, twin.id))) return null;
  return { why: `${name} ${type} ${value} is there again`, by: [refOf(KIND, twin.id)] };
}

/** The name may be another's by now, an alias or beside one; and a device needs its right again. */
function hindranceOf(record: Named, { now, before, after, own }: RevertTerms): Hindrance | null {
  const { name, type, device: id } = record;
  const holder = tableGet(now.names, name);
  if (holder !== undefined && holder.device !== id) {
    const there = holder.records.map((each) => refOf(KIND, each.id));
    if (!there.every((ref) => own.has(ref))) return { why: `${name} is another's by now`, by: there };
  }
  const clash = aliasClash(
    now,
    name,
    type,
    (holder?.records ?? []).filter((each) => !own.has(refOf(KIND, each.id))),
  );
  if (clash !== null) return { why: clash.message, by: (clash.conflicts ?? []).map((each) => refOf(KIND, each)) };
  if (id === null) return null;
  const device = tableGet(now.devices, id);
  // What comes back together with its device, or with its right, has the rights it had.
  const returns = tableGet(after.devices, id) === undefined && tableGet(before.devices, id) !== undefined;
  if (own.has(refOf("device", id)) && (device !== undefined || returns)) return null;
  if (device === undefined) return { why: "its device is gone", by: [refOf("device", id)] };
  const view = viewOf(now, device);
  if (view === undefined) return { why: `nobody is served DNS where ${device.name} is`, by: [] };
  // It had the name under the very same rights: they say no to new ones only.
  const allowed = withNamesBack({ now, before, own });
  const same = JSON.stringify(rightsIn(before, id)) === JSON.stringify(rightsIn(allowed, id));
  const refusal = same ? null : outOfScope(allowed, device, view, name);
  return refusal === null ? null : { why: refusal.message, by: [refOf("device", id)] };
}

/** A yes that was taken back comes back with what went on its account. */
function withNamesBack({ now, before, own }: Pick<RevertTerms, "now" | "before" | "own">): State {
  const back = Object.entries(before.allowedNames).filter(([key]) => own.has(refOf("name", key)));
  return back.length === 0 ? now : { ...now, allowedNames: { ...now.allowedNames, ...Object.fromEntries(back) } };
}

function rightsIn(state: State, id: string): unknown {
  const device = tableGet(state.devices, id);
  const names = Object.values(state.allowedNames).flatMap((each) => (each.device === id ? [each.name] : []));
  return [device?.kind, device?.dns, device?.zones, names.sort()];
}
