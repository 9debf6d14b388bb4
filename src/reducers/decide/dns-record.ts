import { TTL_MAX } from "../../events/dns.ts";
import { event } from "../../events/index.ts";
import { sameValue } from "../../lib/dns-record.ts";
import { tableGet } from "../../lib/table.ts";
import { recordWithId } from "../dns-record.ts";
import { deviceOfName, viewsOf, viewWithId, zoneViews } from "../dns-view.ts";
import { allowedNameKey, type DnsName, type DnsRecord, type State } from "../state.ts";
import type { Decision, Refusal, SubmissionOf } from "./command.ts";
import { type DnsUpdateCommand, NAMES_MAX } from "./dns-update.ts";
import { withdrawnNames } from "./device-names.ts";
import { isSpecialName } from "./dns-scope.ts";
import { markOf } from "./mark.ts";
import { newId } from "./new-id.ts";
import { accept, refuse } from "./refusal.ts";
import { tooLongTogether } from "./rrset-change.ts";

export type DnsCommand =
  | DnsUpdateCommand
  | {
      readonly type: "record.add";
      readonly name: string;
      readonly recordType: string;
      /** Null: that of the other records of that name and type, or five minutes. */
      readonly ttl: number | null;
      /** RDATA in canonical presentation form. */
      readonly value: string;
      /** Views that see the name; null: all, or those that see it already. */
      readonly views: readonly string[] | null;
      /** The declaration that it is of. */
      readonly managedBy?: string;
    }
  | { readonly type: "record.edit"; readonly id: string; readonly ttl?: number; readonly value?: string }
  | { readonly type: "record.remove"; readonly id: string }
  | {
      readonly type: "name.allow";
      readonly id: string;
      readonly name: string;
      /** False takes a yes back, and ends what was published on its account. */
      readonly allowed: boolean;
    };

const TTL_USUAL = 300;
const RECORDS_PER_NAME_MAX = 1000;
/** The server makes them; and what belongs to signed zones is no use without signatures. */
const NOT_BY_HAND: ReadonlySet<string> = new Set([
  "SOA",
  "NS",
  "DNAME",
  "RRSIG",
  "NSEC",
  "NSEC3",
  "NSEC3PARAM",
  "DNSKEY",
]);

export function decideRecordAdd(command: SubmissionOf<"record.add">, state: State): Decision {
  const { name, recordType: type, value, views } = command;
  const holder = tableGet(state.names, name);
  const bad = badName(state, name, type) ?? badViews(state, views) ?? badHolder(state, holder, views);
  if (bad !== null) return { ok: false, refusal: bad };
  const there = holder?.records ?? [];
  const rrset = there.filter((each) => each.type === type);
  const same = rrset.find((each) => sameValue(type, each.value, value));
  if (same !== undefined) return refuse("CONFLICT", `${name} ${type} ${value} is there already (${same.id})`);
  const clash = aliasClash(state, name, type, there);
  if (clash !== null) return { ok: false, refusal: clash };
  if (there.length >= RECORDS_PER_NAME_MAX || (holder === undefined && state.names.size >= NAMES_MAX)) {
    return refuse("QUOTA_EXCEEDED", `${name} or the gateway has as many records as it may have; remove one first`);
  }
  const long = tooLongTogether(name, type, [...rrset, { value }]);
  if (long !== null) return { ok: false, refusal: long };
  const id = newId("r", state, command);
  const ttl = Math.min(command.ttl ?? rrset[0]?.ttl ?? TTL_USUAL, TTL_MAX);
  const added = {
    id,
    name,
    type,
    ttl,
    value,
    device: null,
    views: holder === undefined ? sorted(views) : holder.views,
    lifetime: null,
    expiresAt: null,
    ...markOf(command),
  };
  return accept([event("record.added", added), ...retimed(rrset, ttl)], { kind: "ids", ids: [id] });
}

/** All of an RRset has one TTL (RFC 2181 §5.2); each record says so, as each is undone by itself. */
const retimed = (others: readonly DnsRecord[], ttl: number) =>
  others.filter((each) => each.ttl !== ttl).map(({ id }) => event("record.changed", { id, ttl }));

const sorted = (views: readonly string[] | null): string[] | null =>
  views === null ? null : [...new Set(views)].sort();

function badName(state: State, name: string, type: string): Refusal | null {
  if (name === ".") return invalid("the root has no records of ours; name something below it, as in nas.home.arpa");
  if (isSpecialName(name)) {
    return invalid(`${name} would be heard by nobody: resolvers answer such names by themselves; choose another`);
  }
  if (NOT_BY_HAND.has(type)) return invalid(`records of type ${type} are made by the gateway, or not at all`);
  return type === "CNAME" && zoneViews(state, name) !== undefined
    ? invalid(`${name} is a zone of the gateway, which has other records: an alias can be below it only`)
    : null;
}

function badViews(state: State, views: readonly string[] | null): Refusal | null {
  const unknown = views?.find((id) => viewWithId(state, id) === undefined);
  if (unknown === undefined) return null;
  const known = viewsOf(state).map(({ id }) => id);
  return invalid(`there is no view ${unknown}: ${known.length === 0 ? "nobody is served DNS" : known.join(", ")}`);
}

function badHolder(state: State, holder: DnsName | undefined, views: readonly string[] | null): Refusal | null {
  if (holder === undefined) return null;
  const { name, device } = holder;
  if (device !== null) {
    const whose = tableGet(state.devices, device)?.name ?? device;
    return conflict(`${name} is ${whose}'s; remove its records first, or choose another name`, holder);
  }
  const same = views === null || JSON.stringify(sorted(views)) === JSON.stringify(holder.views);
  if (same) return null;
  return conflict(
    `${name} is seen by ${holder.views?.join(", ") ?? "all"}; all records of a name are seen by the same`,
    holder,
  );
}

/** RFC 1034 §3.6.2: an alias is alone at its name. */
export function aliasClash(state: State, name: string, type: string, there: readonly DnsRecord[]): Refusal | null {
  const other = there.find((each) => (type === "CNAME") !== (each.type === "CNAME"));
  const device = deviceOfName(state, name);
  if (other === undefined && (type !== "CNAME" || device === undefined)) {
    const alias = type === "CNAME" ? there[0] : undefined;
    return alias === undefined ? null : taken(`${name} is an alias of ${alias.value} already`, [alias.id]);
  }
  if (other === undefined)
    return taken(`${name} is the name of a device, which has its address there; choose another name for the alias`, []);
  return taken(
    `${name} has a record of type ${other.type} (${other.id}), and an alias is alone at its name; remove the one or name the other differently`,
    [other.id],
  );
}

const taken = (message: string, conflicts: readonly string[]): Refusal => ({ code: "CONFLICT", message, conflicts });

const conflict = (message: string, { records }: DnsName): Refusal =>
  taken(
    message,
    records.map(({ id }) => id),
  );

export function decideRecordEdit(command: SubmissionOf<"record.edit">, state: State): Decision {
  const found = recordWithId(state, command.id);
  if (found === undefined) return unknownRecord(command.id);
  const { holder, record } = found;
  if (holder.device !== null) {
    const whose = tableGet(state.devices, holder.device)?.name ?? holder.device;
    return refuse("CONFLICT", `${holder.name} is ${whose}'s, which would set it again; remove it and add your own`);
  }
  const ttl = command.ttl === undefined ? record.ttl : Math.min(command.ttl, TTL_MAX);
  const { value = record.value } = command;
  const twin = holder.records.find(
    (each) => each !== record && each.type === record.type && sameValue(record.type, each.value, value),
  );
  if (twin !== undefined)
    return refuse("CONFLICT", `${holder.name} ${record.type} ${value} is there already (${twin.id})`);
  const others = holder.records.filter((each) => each !== record && each.type === record.type);
  const long = tooLongTogether(holder.name, record.type, [...others, { value }]);
  if (long !== null) return { ok: false, refusal: long };
  const fields = { ...(ttl !== record.ttl && { ttl }), ...(value !== record.value && { value }) };
  const answer = { kind: "ids", ids: [record.id] } as const;
  if (Object.keys(fields).length === 0) return accept([], answer);
  return accept([event("record.changed", { id: record.id, ...fields }), ...retimed(others, ttl)], answer);
}

export function decideRecordRemove(command: SubmissionOf<"record.remove">, state: State): Decision {
  const found = recordWithId(state, command.id);
  if (found === undefined) return unknownRecord(command.id);
  return accept([event("record.removed", { id: command.id, reason: "operator" })], { kind: "ids", ids: [command.id] });
}

export function decideNameAllow(command: SubmissionOf<"name.allow">, state: State): Decision {
  const device = tableGet(state.devices, command.id);
  if (device === undefined) return refuse("NOT_FOUND", `there is no device ${command.id}`);
  const { name, allowed } = command;
  const allowance = { device: device.id, name };
  const key = allowedNameKey(device.id, name);
  if ((state.allowedNames[key] !== undefined) === allowed) return accept([], { kind: "done" });
  if (allowed) return accept([event("name.allowed", allowance)], { kind: "done" });
  const { [key]: _gone, ...rest } = state.allowedNames;
  const ended = withdrawnNames({ ...state, allowedNames: rest }, device, name);
  return accept([...ended, event("name.withdrawn", allowance)], { kind: "done" });
}

const invalid = (message: string): Refusal => ({ code: "INVALID_REQUEST", message });

function unknownRecord(id: string): Decision {
  return refuse("NOT_FOUND", `there is no record ${id}; \`portreeve dns list\` shows those there are`);
}
