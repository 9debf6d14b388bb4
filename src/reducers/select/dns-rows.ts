import { dnsKey, dnsKeyParts, type DnsRow, type DnsUpstreams } from "../../lib/dns-row.ts";
import { reverseName } from "../../lib/reverse-name.ts";
import { tableChanges, tableEntries, tableGet, tableRows } from "../../lib/table.ts";
import {
  addressesOfDevice,
  fixedZones,
  ownName,
  type View,
  viewAt,
  viewOf,
  viewsOf,
  viewWithId,
  zoneViews,
} from "../dns-view.ts";
import { publishedAt } from "../published-name.ts";
import { tunnelInterface } from "../served.ts";
import type { Device, State } from "../state.ts";
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
    for (const { key: address } of tableChanges(before.namesAt, after.namesAt)) {
      // Of an address that is in no network of ours nothing is said.
      const reverse = viewAt(after, address) === null ? null : reverseName(address);
      if (reverse !== null) keys.add(dnsKey("name", reverse));
    }
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
    const published = publishedAt(this.#state, name);
    if (published === null) return undefined;
    const { views, records, owners, revision } = published;
    return { key: dnsKey("name", name), spec: { kind: "name", name, views, records }, owners, revision };
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
