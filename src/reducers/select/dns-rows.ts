import { dnsKey, dnsKeyParts, type DnsRow, type DnsServedRecord, type DnsUpstreams } from "../../lib/dns-row.ts";
import { formatIpv4 } from "../../lib/ip.ts";
import { ipv6For, parseIpv6 } from "../../lib/ipv6.ts";
import { addressOfReverse, reverseName } from "../../lib/reverse-name.ts";
import { tableChanges, tableEntries, tableGet, tableRows } from "../../lib/table.ts";
import { deviceAt } from "../device.ts";
import {
  addressesOfDevice,
  deviceOfName,
  fixedZones,
  OWN_TTL,
  ownName,
  ownRecords,
  type View,
  viewAt,
  viewIdOf,
  viewOf,
  viewsOf,
  viewsOfName,
  viewWithId,
  zoneViews,
} from "../dns-view.ts";
import { ipv6PrefixOf } from "./ipv6-place.ts";
import { tunnelInterface } from "../served.ts";
import type { Device, DnsName, State } from "../state.ts";
import { type Desired, type DesiredTable, remembering } from "./desired.ts";

type Row = Desired<DnsRow>;

/** What the DNS server serves, read through the state's own indexes: one more record costs one more record's work. */
class DnsTable implements DesiredTable<DnsRow> {
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
  }

  get(key: string): Row | undefined {
    const { kind, of } = dnsKeyParts(key);
    switch (kind) {
      case "name":
        return this.#name(of);
      case "zone":
        return this.#zone(of);
      case "view":
        return this.#view(of);
      case "key":
        return this.#key(of);
      case "serial":
        return of === "" ? this.#serial() : undefined;
      default:
        return undefined;
    }
  }

  *rows(): Iterable<Row> {
    for (const key of this.#keys()) {
      const row = this.get(key);
      if (row !== undefined) yield row;
    }
  }

  *#keys(): Generator<string> {
    const state = this.#state;
    yield dnsKey("serial");
    for (const { id } of viewsOf(state)) yield dnsKey("view", id);
    const zones = new Set(fixedZones(state));
    for (const [zone] of tableEntries(state.delegations)) zones.add(zone);
    for (const zone of zones) yield dnsKey("zone", zone);
    const names = new Set<string>();
    for (const [name] of tableEntries(state.names)) names.add(name);
    for (const [address] of tableEntries(state.namesAt)) names.add(reverseName(address) ?? address);
    for (const device of tableRows(state.devices)) {
      yield dnsKey("key", device.id);
      for (const name of this.#namesOf(device)) names.add(name);
    }
    for (const name of names) yield dnsKey("name", name);
  }

  /** Null where more than names has changed: what everything hangs on is rare to change. */
  changedSince(previous: DesiredTable<DnsRow>): Iterable<string> | null {
    if (!(previous instanceof DnsTable)) return null;
    const [before, after] = [previous.#state, this.#state];
    const same =
      before.settings === after.settings &&
      before.subnets === after.subnets &&
      before.interfaces === after.interfaces &&
      before.servedRevision === after.servedRevision;
    if (!same) return null;
    const keys = new Set<string>();
    if (before.dnsRevision !== after.dnsRevision) keys.add(dnsKey("serial"));
    for (const { key } of tableChanges(before.names, after.names)) keys.add(dnsKey("name", key));
    for (const { key } of tableChanges(before.namesAt, after.namesAt))
      keys.add(dnsKey("name", reverseName(key) ?? key));
    for (const { key } of tableChanges(before.delegations, after.delegations)) keys.add(dnsKey("zone", key));
    for (const { key: id, before: old, after: now } of tableChanges(before.devices, after.devices)) {
      keys.add(dnsKey("key", id));
      for (const device of [old, now]) for (const name of this.#touched(device)) keys.add(dnsKey("name", name));
      // Its subnet may be resolved by it.
      if (old?.address !== now?.address && old?.subnet != null) keys.add(dnsKey("view", old.subnet));
    }
    return keys;
  }

  #namesOf(device: Device): string[] {
    const name = ownName(this.#state, device);
    if (name === null) return [];
    return [name, ...addressesOfDevice(this.#state, device).flatMap((address) => reverseName(address) ?? [])];
  }

  /** Also names whose records it has, as they are seen where it is. */
  #touched(device: Device | undefined): string[] {
    if (device === undefined) return [];
    return [...this.#namesOf(device), ...(tableGet(this.#state.namesOf, device.id) ?? [])];
  }

  #name(name: string): Row | undefined {
    const state = this.#state;
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
    if (own !== undefined) add(ownRecords(state, own, records), { ...own, view: viewIdOf(own) });
    const pointer = records.length === 0 ? this.#pointer(name) : null;
    if (pointer !== null) {
      const record = { type: "PTR", ttl: OWN_TTL, value: pointer.to };
      add([record], { id: pointer.owner, revision: pointer.revision, view: "" });
      views = pointer.views;
    }
    // Nobody is there to see it.
    if (records.length === 0 || views?.length === 0) return undefined;
    const spec = { kind: "name", name, views, records } as const;
    return { key: dnsKey("name", name), spec, owners: [...new Set(owners)].sort(), revision: Math.max(...revisions) };
  }

  /** Of an address in a network of ours: its device, or else the operator's name for it. What another device says it is, is no proof. */
  #pointer(name: string) {
    const state = this.#state;
    const address = addressOfReverse(name);
    const view = address === null ? null : viewAt(state, address);
    if (address === null || view === null) return null;
    const device = deviceWithAddress(state, view, address);
    if (device !== undefined) {
      const to = ownName(state, device) as string;
      return { to, views: [view.id] as readonly string[], owner: device.id, revision: device.revision };
    }
    for (const each of tableGet(state.namesAt, address) ?? []) {
      const { device: by, views, revision } = tableGet(state.names, each) as DnsName;
      if (by === null && !each.startsWith("*.")) return { to: each, views, owner: "operator", revision };
    }
    return null;
  }

  #zone(apex: string): Row | undefined {
    const views = zoneViews(this.#state, apex);
    if (views === undefined) return undefined;
    const owner = tableGet(this.#state.delegations, apex) ?? "settings";
    const revision = this.#state.dnsRevision;
    return { key: dnsKey("zone", apex), spec: { kind: "zone", apex, views }, owners: [owner], revision };
  }

  #view(id: string): Row | undefined {
    const state = this.#state;
    const view = viewWithId(state, id);
    if (view === undefined || (view.subnet !== null && tunnelInterface(state) === null)) return undefined;
    const { interface: iface, networks, zone, unsignedUpdates } = view;
    const upstreams = upstreamsOf(state, view);
    const spec: DnsRow = { kind: "view", id, interface: iface, prefixes: networks, zone, upstreams, unsignedUpdates };
    const revision = Math.max(state.topologyRevision, view.subnet?.revision ?? 0, resolverRevision(state, view));
    return { key: dnsKey("view", id), spec, owners: [view.subnet === null ? "settings" : view.id], revision };
  }

  #key(id: string): Row | undefined {
    const device = tableGet(this.#state.devices, id);
    const view = device === undefined ? undefined : viewOf(this.#state, device);
    const secretId = device?.presharedKeySecret ?? device?.dnsKeySecret ?? null;
    // Without the right it has its key all the same: refused is what it is told, not that nobody knows it.
    if (device === undefined || view === undefined) return undefined;
    const spec: DnsRow = {
      kind: "key",
      device: id,
      view: view.id,
      sources: addressesOfDevice(this.#state, device),
      keyName: `${device.name}.${view.zone}`,
      secretId,
      derived: device.presharedKeySecret !== null,
    };
    return {
      key: dnsKey("key", id),
      spec,
      owners: [id],
      revision: Math.max(device.revision, view.subnet?.revision ?? 0),
    };
  }

  #serial(): Row {
    const serial = this.#state.dnsRevision;
    return { key: dnsKey("serial"), spec: { kind: "serial", serial }, owners: ["settings"], revision: serial };
  }
}

function deviceWithAddress(state: State, view: View, address: string): Device | undefined {
  const site = view.subnet === null ? view.interface : null;
  if (!address.includes(":")) return deviceAt(state, site, address);
  const prefix = view.subnet === null ? null : ipv6PrefixOf(view.subnet);
  const groups = parseIpv6(address);
  if (prefix === null || groups === null) return undefined;
  const [high = 0, low = 0] = groups.slice(6);
  const ipv4 = formatIpv4(high * 0x1_0000 + low);
  return ipv6For(prefix, ipv4) === address ? deviceAt(state, site, ipv4) : undefined;
}

function upstreamsOf(state: State, { subnet }: View): DnsUpstreams {
  const dns = subnet?.dns ?? { mode: "system" };
  if (dns.mode === "custom") return { mode: "custom", servers: dns.servers };
  const device = dns.mode === "device" ? tableGet(state.devices, dns.device) : undefined;
  if (device !== undefined) return { mode: "custom", servers: [device.address] };
  const { upstreams } = state.settings.dns;
  return upstreams === "system" ? { mode: "system" } : { mode: "custom", servers: upstreams };
}

function resolverRevision(state: State, { subnet }: View): number {
  return subnet?.dns.mode === "device" ? (tableGet(state.devices, subnet.dns.device)?.revision ?? 0) : 0;
}

export function selectDns(): (state: State) => DesiredTable<DnsRow> {
  return remembering((state) => new DnsTable(state));
}
