import { type DnsUpdate, type Prerequisite, valueKey } from "../../lib/dns-record.ts";
import { tableGet } from "../../lib/table.ts";
import { apexRecords } from "../../lib/zone-apex.ts";
import { deviceOfName, ownRecords, type View, viewOf, viewsOfName, zoneViews } from "../dns-view.ts";
import type { State } from "../state.ts";
import type { Refusal } from "./command.ts";

/** Whether a name is the apex of a zone that a view has. */
export const isApexIn = (state: State, view: View, name: string): boolean => {
  const views = zoneViews(state, name);
  return views === null || views?.includes(view.id) === true;
};

/** What is at a name, as the sender's view has it. No wildcard and no alias is followed (RFC 2136 §2.4, §3.2). */
function seenAt(state: State, view: View, name: string): Seen {
  const holder = tableGet(state.names, name);
  const views = holder === undefined ? [] : viewsOfName(state, holder);
  const records = holder !== undefined && (views === null || views.includes(view.id)) ? holder.records : [];
  const device = deviceOfName(state, name);
  const own = device !== undefined && viewOf(state, device)?.id === view.id ? ownRecords(state, device, records) : [];
  const apex = isApexIn(state, view, name) ? apexRecords(name, state.dnsRevision) : [];
  return [...records, ...own, ...apex];
}

/** RFC 2136 §3.2: in order, and then what is compared as a whole. */
export function unmet({ zone, prerequisites }: DnsUpdate, state: State, view: View): Refusal | null {
  const [whole, others] = [
    prerequisites.filter(({ kind }) => kind === "rrset-equals"),
    prerequisites.filter(({ kind }) => kind !== "rrset-equals"),
  ];
  for (const each of [...others, ...whole]) {
    if (each.kind === "outside") return { code: "DNS_NOT_ZONE", message: `${each.name} is not in ${zone}` };
    const refusal = failing(each, seenAt(state, view, each.name));
    if (refusal !== null) return refusal;
  }
  return null;
}

type Asked = Exclude<Prerequisite, { readonly kind: "outside" }>;
type Seen = readonly { readonly type: string; readonly value: string }[];

function failing(each: Asked, there: Seen): Refusal | null {
  const { name } = each;
  if (each.kind === "name-in-use") {
    return there.length > 0 ? null : { code: "DNS_NAME_ABSENT", message: `${name} is not in use` };
  }
  if (each.kind === "name-not-in-use") {
    return there.length === 0 ? null : { code: "DNS_NAME_IN_USE", message: `${name} is in use` };
  }
  if (!("type" in each)) return null;
  const rrset = there.filter(({ type }) => type === each.type);
  const what = `${name} ${each.type}`;
  if (each.kind === "rrset-equals") {
    const keysOf = (values: readonly string[]) => new Set(values.map((value) => valueKey(each.type, value)));
    const [wanted, found] = [keysOf(each.values), keysOf(rrset.map(({ value }) => value))];
    const equal = wanted.size === found.size && [...wanted].every((key) => found.has(key));
    return equal ? null : { code: "DNS_RRSET_ABSENT", message: `${what} is not what the update expects` };
  }
  if (each.kind === "rrset-exists") {
    return rrset.length > 0 ? null : { code: "DNS_RRSET_ABSENT", message: `${what} is not there` };
  }
  return rrset.length === 0 ? null : { code: "DNS_RRSET_EXISTS", message: `${what} is there` };
}
