import { parseIpv4Prefix, prefixText } from "../../lib/ip.ts";
import type { SniRow } from "../../lib/sni-row.ts";
import { tableChanges, tableEntries } from "../../lib/table.ts";
import { mappingsOf } from "../device-mappings.ts";
import { sharesItsPort } from "../sharing.ts";
import { mappingNamed, mappingsSharing } from "../port-index.ts";
import type { Mapping, State } from "../state.ts";
import { type Desired, type DesiredTable, remembering } from "./desired.ts";
import { addressesOf } from "./forward-keys.ts";
import { revisionOf } from "./leaving-rows.ts";
import { OpenPorts } from "./open-ports.ts";
import { needsProxy, ownerIds, redirectFor, sinceOf } from "./proxy-need.ts";
import { devicesChanged, seenSource, servedDevice } from "../served-device.ts";

type Row = Desired<SniRow>;

/** What HAProxy is to do, read through the state's own indexes, as the forwards are. */
class SniTable implements DesiredTable<SniRow> {
  readonly #state: State;
  readonly #instanceId: string;
  readonly #open: OpenPorts;

  constructor(state: State, instanceId: string) {
    this.#state = state;
    this.#instanceId = instanceId;
    this.#open = new OpenPorts(state);
  }

  get(key: string): Row | undefined {
    const [kind, address = "", port = "", name = ""] = key.split("|");
    switch (kind) {
      case "proxy":
        return this.#proxy();
      case "route":
        return this.#route(key, address, Number(port), name);
      case "fallback":
        return this.#fallback(key, address, Number(port));
      case "redirect":
        return this.#redirect(key, address);
      default:
        return undefined;
    }
  }

  *rows(): Iterable<Row> {
    const keys = new Set<string>(["proxy"]);
    for (const address of this.#open.addresses) keys.add(`redirect|${address}`);
    for (const [key] of tableEntries(this.#state.shared)) {
      const [wan = "", protocol, port] = key.split("|");
      for (const mapping of mappingsSharing(this.#state, wan, protocol as Mapping["protocol"], Number(port))) {
        for (const each of this.keysOf(mapping)) keys.add(each);
      }
    }
    for (const key of keys) {
      const row = this.get(key);
      if (row !== undefined) yield row;
    }
  }

  changedSince(previous: DesiredTable<SniRow>): Iterable<string> | null {
    if (!(previous instanceof SniTable) || previous.#instanceId !== this.#instanceId) return null;
    const [before, after] = [previous.#state, this.#state];
    if (before.topologyRevision !== after.topologyRevision) return null;
    if (before.settingsRevision !== after.settingsRevision) return null;
    const keys = new Set<string>();
    if (needsProxy(before) !== needsProxy(after)) keys.add("proxy");
    if (before.listenersRevision !== after.listenersRevision) {
      for (const address of this.#open.addresses) keys.add(`redirect|${address}`);
    }
    for (const { before: old, after: now } of tableChanges(before.mappings, after.mappings)) {
      if (old !== undefined) for (const key of previous.keysOf(old)) keys.add(key);
      if (now !== undefined) for (const key of this.keysOf(now)) keys.add(key);
    }
    for (const device of devicesChanged(before, after)) {
      for (const state of [before, after]) {
        for (const mapping of mappingsOf(state, device)) for (const key of this.keysOf(mapping)) keys.add(key);
      }
    }
    return keys;
  }

  keysOf = (mapping: Mapping): string[] => sniKeysOf(this.#state, mapping);

  #proxy(): Row | undefined {
    if (!needsProxy(this.#state)) return undefined;
    const { settings, interfaces, topologyRevision } = this.#state;
    const prefixes = settings.lan.flatMap((lan) => interfaces[lan.interface]?.addresses ?? []).map(parseIpv4Prefix);
    const segments = [...new Set(prefixes.flatMap((prefix) => (prefix === null ? [] : prefixText(prefix))))].sort();
    const spec = { kind: "proxy", instanceId: this.#instanceId, segments } as const;
    return { key: "proxy", spec, owners: ["settings"], revision: topologyRevision };
  }

  #route(key: string, address: string, port: number, name: string): Row | undefined {
    const find = (wan: string) => mappingNamed(this.#state, { wan, protocol: "tcp", name }, port);
    const mapping = this.#open.at(address, find);
    if (mapping === undefined) return undefined;
    return this.#row(key, { kind: "route", address, port, name, ...this.#towards(mapping) }, mapping);
  }

  /** Who holds the whole port has what no name is for, unless only some may come in by it: HAProxy does not choose them. */
  #fallback(key: string, address: string, port: number): Row | undefined {
    if (this.#open.named(address, "tcp", port).length === 0) return undefined;
    const mapping = this.#open.whole(address, "tcp", port);
    if (mapping === undefined || !sharesItsPort(mapping)) return undefined;
    return this.#row(key, { kind: "fallback", address, port, ...this.#towards(mapping) }, mapping);
  }

  #towards(mapping: Mapping) {
    const device = servedDevice(this.#state, mapping.internalAddress);
    const { internalAddress: toAddress, internalPort: toPort } = mapping;
    return { toAddress, toPort, source: seenSource(mapping, device) } as const;
  }

  #row(key: string, spec: SniRow, mapping: Mapping): Row {
    const device = servedDevice(this.#state, mapping.internalAddress);
    const revision = Math.max(revisionOf(this.#state, mapping), device?.revision ?? 0);
    return { key, spec, owners: [mapping.id], revision };
  }

  #redirect(key: string, address: string): Row | undefined {
    const owners = redirectFor(this.#state, this.#open.wansAt(address));
    if (owners === null) return undefined;
    const { topologyRevision, listenersRevision } = this.#state;
    const revision = Math.max(sinceOf(owners), topologyRevision, listenersRevision);
    return { key, spec: { kind: "redirect", address }, owners: ownerIds(owners), revision };
  }
}

/** Keys of the rows that a mapping has a part in, or keeps away. */
export function sniKeysOf(state: State, mapping: Mapping): string[] {
  const { wan, protocol, externalPort: port, name } = mapping;
  if (protocol !== "tcp") return [];
  return addressesOf(state, wan).flatMap((address) => [
    ...(name === null ? [] : [`route|${address}|${port}|${name}`]),
    `fallback|${address}|${port}`,
    `redirect|${address}`,
  ]);
}

export function selectSni(instanceId: string): (state: State) => DesiredTable<SniRow> {
  return remembering((state) => new SniTable(state, instanceId));
}
