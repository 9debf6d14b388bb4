import type { DnsServedRecord } from "../lib/dns-row.ts";
import { addressOfReverse } from "../lib/reverse-name.ts";
import { tableGet } from "../lib/table.ts";
import { deviceAt } from "./device.ts";
import { deviceOfName, OWN_TTL, ownName, ownRecords, type View, viewAt, viewIdOf, viewsOfName } from "./dns-view.ts";
import { deviceWithIpv6 } from "./ipv6-host.ts";
import { ipv6PrefixOf } from "./ipv6-place.ts";
import type { Device, DnsName, State } from "./state.ts";

export interface Published {
  /** Who sees it; null: everyone. */
  readonly views: readonly string[] | null;
  readonly records: readonly DnsServedRecord[];
  readonly owners: readonly string[];
  readonly revision: number;
}

/** What is served at a name: of its holder, of the device whose name it is, or of the address that it reverses. */
export function publishedAt(state: State, name: string): Published | null {
  const holder = tableGet(state.names, name);
  const own = deviceOfName(state, name);
  const records: DnsServedRecord[] = (holder?.records ?? []).map(({ type, ttl, value }) => ({ type, ttl, value }));
  const owners = holder === undefined ? [] : [holder.device ?? "operator"];
  const revisions = [holder?.revision ?? 0];
  let views: readonly string[] | null = holder === undefined ? [] : viewsOfName(state, holder);
  const add = (more: readonly DnsServedRecord[], from: { id: string; revision: number; view: string }): void => {
    if (more.length === 0) return;
    records.push(...more);
    owners.push(from.id);
    revisions.push(from.revision);
    views = views === null ? null : [...new Set([...views, from.view])].sort();
  };
  if (own !== undefined)
    add(ownRecords(state, own, records), { id: own.id, revision: placedRevision(state, own), view: viewIdOf(own) });
  const pointer = records.length === 0 ? pointerAt(state, name) : null;
  if (pointer !== null) {
    const record = { type: "PTR", ttl: OWN_TTL, value: pointer.to };
    add([record], { id: pointer.owner, revision: pointer.revision, view: "" });
    views = pointer.views;
  }
  // Nobody is there to see it.
  if (records.length === 0 || views?.length === 0) return null;
  return { views, records, owners: [...new Set(owners)].sort(), revision: Math.max(...revisions) };
}

/** Its name and its addresses hang on its subnet too. */
function placedRevision(state: State, { revision, subnet }: Device): number {
  return Math.max(revision, subnet === null ? 0 : (state.subnets[subnet]?.revision ?? 0));
}

/** Of an address in a network of ours: its device, or else the operator's name for it. What another device says it is, is no proof. */
function pointerAt(state: State, name: string) {
  const address = addressOfReverse(name);
  const view = address === null ? null : viewAt(state, address);
  if (address === null || view === null) return null;
  const device = deviceWithAddress(state, view, address);
  if (device !== undefined) {
    const to = ownName(state, device) as string;
    return { to, views: [view.id] as readonly string[], owner: device.id, revision: placedRevision(state, device) };
  }
  for (const each of tableGet(state.namesAt, address) ?? []) {
    const { device: by, views, revision } = tableGet(state.names, each) as DnsName;
    if (by === null && !each.startsWith("*.")) return { to: each, views, owner: "operator", revision };
  }
  return null;
}

function deviceWithAddress(state: State, view: View, address: string): Device | undefined {
  const site = view.subnet === null ? view.interface : null;
  if (!address.includes(":")) return deviceAt(state, site, address);
  const prefix = view.subnet === null ? null : ipv6PrefixOf(view.subnet);
  return prefix === null ? undefined : deviceWithIpv6(state, prefix, address);
}
