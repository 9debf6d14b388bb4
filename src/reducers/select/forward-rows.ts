import type { Transport } from "../../events/fields.ts";
import type { PeerFilter } from "../../events/mapping.ts";
import { withoutLength } from "../../lib/ip.ts";
import { REDIRECT_PORT, TLS_PORT } from "../../lib/proxy-ports.ts";
import { tableChanges, tableEntries, tableGet, tableRows } from "../../lib/table.ts";
import { mappingsOf } from "../device-mappings.ts";
import { admittedPeers } from "../reach.ts";
import { servedInterfaces, tunnelInterface } from "../served.ts";
import type { Mapping, State } from "../state.ts";
import { type Desired, type DesiredTable, remembering } from "./desired.ts";
import { deviceKeysOf, externalPorts, isRange, keysOf, namedWans } from "./forward-keys.ts";
import { concernsRedirect, HTTP_PORT, needsProxy, ownerIds, redirectFor, sinceOf } from "./proxy-need.ts";
import { LeavingRows, revisionOf } from "./leaving-rows.ts";
import { OpenPorts } from "./open-ports.ts";
import { pinholeRow } from "./pinhole-rows.ts";
import type { ForwardRow } from "./rows.ts";
import { devicesChanged } from "../served-device.ts";
import { type WaysOut, waysOut } from "./ways-out.ts";

type Row = Desired<ForwardRow>;

/** External ports of one address: "8000-8009". */
interface Ports {
  readonly address: string;
  readonly protocol: Transport;
  readonly ports: string;
}

/**
 * Rows of the table `portreeve`, read through the state's own indexes: nothing is materialised, so a state with one
 * more mapping costs one more mapping's work, and `changedSince` looks only at what changed.
 */
class ForwardTable implements DesiredTable<ForwardRow> {
  readonly #state: State;
  readonly #instanceId: string;
  readonly #open: OpenPorts;
  readonly #ways: WaysOut;
  readonly #leaving: LeavingRows;

  constructor(state: State, instanceId: string) {
    this.#state = state;
    this.#instanceId = instanceId;
    this.#open = new OpenPorts(state);
    this.#ways = waysOut(state);
    this.#leaving = new LeavingRows(state, this.#open, this.#ways);
  }

  get(key: string): Row | undefined {
    const [kind, first = "", second = "", third = "", fourth = "", fifth = ""] = key.split("|");
    switch (kind) {
      case "skeleton":
        return this.#skeleton();
      case "forward":
        return this.#forward(key, first, second as Transport, Number(third));
      case "range":
        return this.#range(key, first, second as Transport, Number(third.split("-")[0]));
      case "ours":
        return this.#ours(key, first as Transport, Number(second));
      case "restricted":
        return this.#restricted(key, { address: first, protocol: second as Transport, ports: third });
      case "allowed":
        return this.#allowed(key, { address: first, protocol: second as Transport, ports: third }, fourth, null);
      case "allowedPort":
        return this.#allowed(
          key,
          { address: first, protocol: second as Transport, ports: third },
          fourth,
          Number(fifth),
        );
      case "severed":
        return this.#severed(key, `${first}|${second}|${third}`);
      case "pinhole":
      case "pinholeFrom":
      case "pinholeFromPort":
        return pinholeRow(this.#state, {
          key,
          address: first,
          protocol: second as Transport,
          port: Number(third),
          from: kind === "pinhole" ? null : fourth,
          fromPort: kind === "pinholeFromPort" ? Number(fifth) : null,
        });
      default:
        return this.#leaving.get(key);
    }
  }

  *rows(): Iterable<Row> {
    const keys = new Set<string>(["skeleton"]);
    for (const mapping of tableRows(this.#state.mappings)) for (const key of this.keysOf(mapping)) keys.add(key);
    for (const { protocol, port } of this.#state.listeners) keys.add(`ours|${protocol}|${port}`);
    for (const key of this.#redirectKeys()) keys.add(key);
    for (const { address } of tableRows(this.#state.devices)) keys.add(`egress|${address}`).add(`hostVia|${address}`);
    for (const { addresses } of this.#ways.vias)
      for (const cidr of addresses) keys.add(`hostVia|${withoutLength(cidr)}`);
    for (const [key] of tableEntries(this.#state.severed)) keys.add(`severed|${key}`);
    for (const key of keys) {
      const row = this.get(key);
      if (row !== undefined) yield row;
    }
  }

  changedSince(previous: DesiredTable<ForwardRow>): Iterable<string> | null {
    if (!(previous instanceof ForwardTable) || previous.#instanceId !== this.#instanceId) return null;
    const [before, after] = [previous.#state, this.#state];
    if (before.topologyRevision !== after.topologyRevision) return null;
    if (before.listenersRevision !== after.listenersRevision) return null;
    const keys = new Set<string>();
    for (const { before: old, after: now } of tableChanges(before.mappings, after.mappings)) {
      if (old !== undefined) for (const key of previous.keysOf(old)) keys.add(key);
      if (now !== undefined) for (const key of this.keysOf(now)) keys.add(key);
      if ([old, now].some((each) => each !== undefined && concernsRedirect(each))) {
        for (const key of this.#redirectKeys()) keys.add(key);
      }
    }
    if (needsProxy(before) !== needsProxy(after)) keys.add("skeleton");
    for (const device of devicesChanged(before, after)) {
      keys.add(`egress|${device.address}`).add(`hostVia|${device.address}`);
      for (const state of [before, after]) {
        for (const mapping of mappingsOf(state, device)) {
          for (const key of deviceKeysOf(mapping, this.#isRouted)) keys.add(key);
        }
      }
    }
    for (const { key } of tableChanges(before.severed, after.severed)) keys.add(`severed|${key}`);
    if (before.mappings.size === 0 || after.mappings.size === 0) keys.add("skeleton");
    return keys;
  }

  /** Keys of the rows a mapping may own while it is enabled and its WAN has an address. */
  keysOf(mapping: Mapping): Generator<string> {
    return keysOf(mapping, this.#open.addressesOf(mapping.wan), this.#isRouted);
  }

  *#redirectKeys(): Generator<string> {
    for (const address of this.#open.addresses) yield `forward|${address}|tcp|${HTTP_PORT}`;
    yield `ours|tcp|${HTTP_PORT}`;
  }

  /** There are several ways out, and we say which. */
  get #isRouted(): boolean {
    return this.#ways.vias.length > 0;
  }

  /** With nothing to serve there is no table at all: no packet's fate changes. */
  #skeleton(): Row | undefined {
    const { settings, mappings, topologyRevision } = this.#state;
    const lans = servedInterfaces(this.#state).map((served) => served.interface);
    if (lans.length === 0 && mappings.size === 0 && !needsProxy(this.#state)) return undefined;
    const tunnel = tunnelInterface(this.#state);
    const spec = {
      kind: "skeleton",
      instanceId: this.#instanceId,
      wans: settings.wan.interfaces,
      lans,
      ...(tunnel !== null && { tunnel }),
      ...(this.#isRouted && { vias: this.#ways.vias.map(({ number }) => number) }),
      ...(this.#ways.usual !== undefined && { usualVia: this.#ways.usual.number }),
      ...(needsProxy(this.#state) && { proxied: true as const }),
    } as const;
    return { key: "skeleton", spec, owners: ["settings"], revision: topologyRevision };
  }

  /** What names share, and HTTP that is sent to HTTPS, HAProxy takes, on the address that is the machine's own. */
  #toProxy(key: string, address: string, port: number, toPort: number, owners: readonly (Mapping | "settings")[]): Row {
    const [wan = ""] = this.#open.wansAt(address);
    const toAddress = this.#open.addressesOf(wan)[0] ?? address;
    const revision = Math.max(sinceOf(owners), this.#state.topologyRevision);
    const spec = { kind: "forward", address, protocol: "tcp", port, toAddress, toPort } as const;
    return { key, spec, owners: ownerIds(owners), revision };
  }

  #forward(key: string, address: string, protocol: Transport, port: number): Row | undefined {
    const mapping = this.#open.whole(address, protocol, port);
    const named = this.#open.named(address, protocol, port);
    if (named.length > 0) {
      const all = mapping === undefined ? named : [...named, mapping];
      return this.#toProxy(key, address, port, TLS_PORT, all);
    }
    if (mapping === undefined && protocol === "tcp" && port === HTTP_PORT) {
      const redirect = redirectFor(this.#state, this.#open.wansAt(address));
      return redirect === null ? undefined : this.#toProxy(key, address, port, REDIRECT_PORT, redirect);
    }
    if (mapping === undefined || isRange(mapping)) return undefined;
    const toPort = mapping.internalPort + (port - mapping.externalPort);
    const spec = { kind: "forward", address, protocol, port, toAddress: mapping.internalAddress, toPort } as const;
    return { key, spec, owners: [mapping.id], revision: revisionOf(this.#state, mapping) };
  }

  #range(key: string, address: string, protocol: Transport, firstPort: number): Row | undefined {
    const mapping = this.#open.whole(address, protocol, firstPort);
    if (mapping === undefined || !isRange(mapping)) return undefined;
    const lastPort = mapping.externalPort + mapping.count - 1;
    if (key !== `range|${address}|${protocol}|${mapping.externalPort}-${lastPort}`) return undefined;
    const spec = { kind: "range", address, protocol, firstPort, lastPort, toAddress: mapping.internalAddress } as const;
    return { key, spec, owners: [mapping.id], revision: revisionOf(this.#state, mapping) };
  }

  #ours(key: string, protocol: Transport, port: number): Row | undefined {
    if (this.#skeleton() === undefined) return undefined;
    const owners: string[] = [];
    let revision = 0;
    for (const wan of namedWans(this.#state)) {
      const mapping = this.#open.wholeOn(wan, protocol, port);
      if (mapping === undefined) continue;
      owners.push(mapping.id);
      revision = Math.max(revision, mapping.specRevision);
    }
    for (const address of protocol === "tcp" ? this.#open.addresses : []) {
      const named = this.#open.named(address, protocol, port);
      const redirect = port === HTTP_PORT ? redirectFor(this.#state, this.#open.wansAt(address)) : null;
      const proxied = [...named, ...(redirect ?? [])];
      for (const owner of ownerIds(proxied)) if (!owners.includes(owner)) owners.push(owner);
      revision = Math.max(revision, sinceOf(proxied));
    }
    if (this.#state.listeners.some((listener) => listener.protocol === protocol && listener.port === port)) {
      owners.push("listener");
      revision = Math.max(revision, this.#state.listenersRevision);
    }
    return owners.length === 0
      ? undefined
      : { key, spec: { kind: "ours", protocol, port }, owners: owners.sort(), revision };
  }

  /** The open mapping whose external ports are exactly these, if it is not reached by everyone. */
  #withPeers({ address, protocol, ports }: Ports): { mapping: Mapping; peers: readonly PeerFilter[] } | undefined {
    const mapping = this.#open.whole(address, protocol, Number(ports.split("-")[0]));
    if (mapping === undefined || externalPorts(mapping) !== ports) return undefined;
    const peers = admittedPeers(mapping);
    return peers === null ? undefined : { mapping, peers };
  }

  #restricted(key: string, ports: Ports): Row | undefined {
    const mapping = this.#withPeers(ports)?.mapping;
    // Where names share the port, whoever has them is not reached by the less for it: HAProxy keeps the others out.
    if (mapping === undefined || this.#open.named(ports.address, ports.protocol, mapping.externalPort).length > 0)
      return undefined;
    const spec = { kind: "restricted", ...placeOf(mapping, ports) } as const;
    return { key, spec, owners: [mapping.id], revision: revisionOf(this.#state, mapping) };
  }

  #allowed(key: string, ports: Ports, from: string, fromPort: number | null): Row | undefined {
    const found = this.#withPeers(ports);
    if (found?.peers.some(({ prefix, port }) => prefix === from && port === fromPort) !== true) return undefined;
    const { mapping } = found;
    const place = placeOf(mapping, ports);
    const spec =
      fromPort === null
        ? ({ kind: "allowed", ...place, from } as const)
        : ({ kind: "allowedPort", ...place, from, fromPort } as const);
    return { key, spec, owners: [mapping.id], revision: revisionOf(this.#state, mapping) };
  }

  #severed(key: string, stateKey: string): Row | undefined {
    const row = tableGet(this.#state.severed, stateKey);
    if (row === undefined) return undefined;
    const { address, protocol, port, count, revision } = row;
    // Lost and found: its flows are live again, and a restart must not end them.
    if (count === 0 && this.#open.wansAt(address).length > 0) return undefined;
    return {
      key,
      spec: { kind: "severed", address, protocol, port, count, decidedAt: revision },
      owners: ["operator"],
      revision,
    };
  }
}

const placeOf = ({ externalPort, count }: Mapping, { address, protocol }: Ports) =>
  ({ address, protocol, firstPort: externalPort, lastPort: externalPort + count - 1 }) as const;

export function selectForwards(instanceId: string): (state: State) => DesiredTable<ForwardRow> {
  return remembering((state) => new ForwardTable(state, instanceId));
}
