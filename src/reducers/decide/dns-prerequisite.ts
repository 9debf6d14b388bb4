import { type DnsUpdate, type Prerequisite, valueKey } from "../../lib/dns-record.ts";
import { suffixesOf } from "../../lib/domain-name.ts";
import { apexRecords, nameServerOf } from "../../lib/zone-apex.ts";
import { type View, zoneViews } from "../dns-view.ts";
import { publishedAt } from "../published-name.ts";
import type { State } from "../state.ts";
import type { Refusal } from "./command.ts";

/** Whether a name is the apex of a zone that a view has. */
export const isApexIn = (state: State, view: View, name: string): boolean => {
  const views = zoneViews(state, name);
  return views === null || views?.includes(view.id) === true;
};

/** Whether a view is answered for a name as for a zone: an apex of ours, or what is published outside of all of them. */
export function isZoneIn(state: State, view: View, name: string): boolean {
  if (isApexIn(state, view, name)) return true;
  if (publishedIn(state, view, name).length === 0) return false;
  return !suffixesOf(name).some((suffix) => isApexIn(state, view, suffix));
}

function publishedIn(state: State, view: View, name: string): Seen {
  const published = publishedAt(state, name);
  const seen = published !== null && (published.views === null || published.views.includes(view.id));
  return seen ? published.records : [];
}

/**
 * What is at a name, as the sender's view is answered: what the gateway has there by itself too. No wildcard and no alias is
 * followed (RFC 2136 §2.4, §3.2).
 */
function seenAt(state: State, view: View, name: string): Seen {
  const published = publishedIn(state, view, name);
  const [, parent = ""] = suffixesOf(name);
  if (published.length === 0 && name === nameServerOf(parent) && isZoneIn(state, view, parent)) {
    return view.servers.map((value) => ({ type: value.includes(":") ? "AAAA" : "A", value }));
  }
  const hasAlias = published.some(({ type }) => type === "CNAME");
  const apex = !hasAlias && isZoneIn(state, view, name) ? apexRecords(name, state.dnsRevision) : [];
  return [...published, ...apex];
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
