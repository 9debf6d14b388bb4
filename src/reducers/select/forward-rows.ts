import type { Transport } from "../../events/fields.ts";
import type { PeerFilter } from "../../events/mapping.ts";
import { withoutLength } from "../../lib/ip.ts";
import { REDIRECT_PORT, TLS_PORT } from "../../lib/proxy-ports.ts";
import { tableChanges, tableEntries, tableGet, tableRows } from "../../lib/table.ts";
import { mappingsOf } from "../device-mappings.ts";
import { mappingAt, mappingsSharing, mappingsTo } from "../port-index.ts";
import { admittedPeers, isOpen } from "../reach.ts";
import { servedInterfaces, tunnelInterface } from "../served.ts";
import type { Device, Mapping, State } from "../state.ts";
import { type Desired, type DesiredTable, remembering } from "./desired.ts";
import { chosenWan } from "../device-wan.ts";
import { addressesOf, deviceKeysOf, externalPorts, isRange, keysOf, namedWans } from "./forward-keys.ts";
import { concernsRedirect, HTTP_PORT, needsProxy, ownerIds, redirectFor, sinceOf } from "./proxy-need.ts";
import { pinholeRow } from "./pinhole-rows.ts";
import type { ForwardRow } from "./rows.ts";
import { devicesChanged, seenSource, servedDevice } from "../served-device.ts";
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
  readonly #wans: readonly string[];
  /** WANs by each address that packets to them may carry; several only where one was named in two ways. */
  readonly #wansAt = new Map<string, string[]>();
  readonly #addressOf = new Map<string, readonly string[]>();
  readonly #ways: WaysOut;

  constructor(state: State, instanceId: string) {
    this.#state = state;
    this.#instanceId = instanceId;
    this.#wans = namedWans(state);
    this.#ways = waysOut(state);
    for (const wan of this.#wans) {
      const addresses = addressesOf(state, wan);
      if (addresses.length === 0) continue;
      this.#addressOf.set(wan, addresses);
      for (const each of addresses) this.#wansAt.set(each, [...(this.#wansAt.get(each) ?? []), wan]);
    }
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
      case "outbound":
        return this.#outbound(key, first, second as Transport, Number(third));
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
      case "visited":
        return this.#visited(key, first, second as Transport, Number(third));
      case "egress":
        return this.#egress(key, first);
      case "hostVia":
        return this.#hostVia(key, first);
      case "portVia":
        return this.#portVia(key, first, second as Transport, Number(third));
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
        return undefined;
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
    return keysOf(mapping, this.#addressOf.get(mapping.wan) ?? [], this.#isRouted);
  }

  *#redirectKeys(): Generator<string> {
    for (const address of this.#wansAt.keys()) yield `forward|${address}|tcp|${HTTP_PORT}`;
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
    if (lans.length === 0 && mappings.size === 0) return undefined;
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

  #openOn(wan: string, protocol: Transport, port: number): Mapping | undefined {
    const mapping = mappingAt(this.#state, wan, protocol, port);
    return mapping !== undefined && isOpen(mapping) ? mapping : undefined;
  }

  /** Where two WANs have one address, the older mapping keeps the port. */
  #openAt(address: string, protocol: Transport, port: number): Mapping | undefined {
    const wans = this.#wansAt.get(address) ?? [];
    if (wans.length === 1) return this.#openOn(wans[0] as string, protocol, port);
    const open = wans.flatMap((wan) => this.#openOn(wan, protocol, port) ?? []);
    return open.sort((a, b) => a.createdSeq - b.createdSeq)[0];
  }

  /** Open mappings of single names of an external port, oldest first. */
  #namedAt(address: string, protocol: Transport, port: number): Mapping[] {
    const wans = protocol === "tcp" && this.#state.shared.size > 0 ? (this.#wansAt.get(address) ?? []) : [];
    const named = wans.flatMap((wan) => mappingsSharing(this.#state, wan, protocol, port)).filter(isOpen);
    return named.sort((a, b) => a.createdSeq - b.createdSeq);
  }

  /** What names share, and HTTP that is sent to HTTPS, HAProxy takes, on the address that is the machine's own. */
  #toProxy(key: string, address: string, port: number, toPort: number, owners: readonly (Mapping | "settings")[]): Row {
    const [wan = ""] = this.#wansAt.get(address) ?? [];
    const toAddress = this.#addressOf.get(wan)?.[0] ?? address;
    const revision = Math.max(sinceOf(owners), this.#state.topologyRevision);
    const spec = { kind: "forward", address, protocol: "tcp", port, toAddress, toPort } as const;
    return { key, spec, owners: ownerIds(owners), revision };
  }

  #forward(key: string, address: string, protocol: Transport, port: number): Row | undefined {
    const mapping = this.#openAt(address, protocol, port);
    const named = this.#namedAt(address, protocol, port);
    if (named.length > 0) {
      const all = mapping === undefined ? named : [...named, mapping];
      return this.#toProxy(key, address, port, TLS_PORT, all);
    }
    if (mapping === undefined && protocol === "tcp" && port === HTTP_PORT) {
      const redirect = redirectFor(this.#state, this.#wansAt.get(address) ?? []);
      return redirect === null ? undefined : this.#toProxy(key, address, port, REDIRECT_PORT, redirect);
    }
    if (mapping === undefined || isRange(mapping)) return undefined;
    const toPort = mapping.internalPort + (port - mapping.externalPort);
    const spec = { kind: "forward", address, protocol, port, toAddress: mapping.internalAddress, toPort } as const;
    return { key, spec, owners: [mapping.id], revision: this.#revision(mapping) };
  }

  #range(key: string, address: string, protocol: Transport, firstPort: number): Row | undefined {
    const mapping = this.#openAt(address, protocol, firstPort);
    if (mapping === undefined || !isRange(mapping)) return undefined;
    const lastPort = mapping.externalPort + mapping.count - 1;
    if (key !== `range|${address}|${protocol}|${mapping.externalPort}-${lastPort}`) return undefined;
    const spec = { kind: "range", address, protocol, firstPort, lastPort, toAddress: mapping.internalAddress } as const;
    return { key, spec, owners: [mapping.id], revision: this.#revision(mapping) };
  }

  /** Open forwards of whole ports to an internal port. */
  #reaching(address: string, protocol: Transport, port: number): Mapping[] {
    const leading = mappingsTo(this.#state, address, protocol, port);
    return leading.filter((mapping) => isOpen(mapping) && mapping.name === null && this.#addressOf.has(mapping.wan));
  }

  /** Where several external ports hang on one internal port, what leaves it has the oldest's: the first. */
  #leaving(address: string, protocol: Transport, port: number): Mapping[] {
    const leading = this.#reaching(address, protocol, port).filter(({ wan }) => this.#ways.leads(wan));
    return leading.sort((a, b) => a.createdSeq - b.createdSeq);
  }

  #outbound(key: string, address: string, protocol: Transport, port: number): Row | undefined {
    const enabled = this.#leaving(address, protocol, port);
    const [oldest] = enabled;
    if (oldest === undefined) return undefined;
    const toAddress = this.#addressOf.get(oldest.wan)?.[0] as string;
    const toPort = oldest.externalPort + (port - oldest.internalPort);
    const spec = { kind: "outbound", address, protocol, port, toAddress, toPort } as const;
    return { key, spec, owners: enabled.map((mapping) => mapping.id).sort(), revision: this.#revision(oldest) };
  }

  #ours(key: string, protocol: Transport, port: number): Row | undefined {
    if (this.#skeleton() === undefined) return undefined;
    const owners: string[] = [];
    let revision = 0;
    for (const wan of this.#wans) {
      const mapping = this.#openOn(wan, protocol, port);
      if (mapping === undefined) continue;
      owners.push(mapping.id);
      revision = Math.max(revision, mapping.specRevision);
    }
    for (const address of protocol === "tcp" ? this.#wansAt.keys() : []) {
      const named = this.#namedAt(address, protocol, port);
      const redirect = port === HTTP_PORT ? redirectFor(this.#state, this.#wansAt.get(address) ?? []) : null;
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
    const mapping = this.#openAt(address, protocol, Number(ports.split("-")[0]));
    if (mapping === undefined || externalPorts(mapping) !== ports) return undefined;
    const peers = admittedPeers(mapping);
    return peers === null ? undefined : { mapping, peers };
  }

  #restricted(key: string, ports: Ports): Row | undefined {
    const mapping = this.#withPeers(ports)?.mapping;
    // Where names share the port, whoever has them is not reached by the less for it: HAProxy keeps the others out.
    if (mapping === undefined || this.#namedAt(ports.address, ports.protocol, mapping.externalPort).length > 0)
      return undefined;
    const spec = { kind: "restricted", ...placeOf(mapping, ports) } as const;
    return { key, spec, owners: [mapping.id], revision: this.#revision(mapping) };
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
    return { key, spec, owners: [mapping.id], revision: this.#revision(mapping) };
  }

  /** Of several forwards to one internal side, one is enough: the kernel no longer tells them apart there. */
  #visited(key: string, address: string, protocol: Transport, port: number): Row | undefined {
    const device = servedDevice(this.#state, address);
    const reaching = this.#reaching(address, protocol, port);
    const visited = reaching.filter((mapping) => seenSource(mapping, device) === "gateway");
    if (visited.length === 0) return undefined;
    const revision = Math.max(device?.revision ?? 0, ...visited.map((mapping) => this.#revision(mapping)));
    const spec = { kind: "visited", address, protocol, port } as const;
    return { key, spec, owners: visited.map((mapping) => mapping.id).sort(), revision };
  }

  /** While the WAN it was given has no address, or leads nowhere, it leaves like the others. */
  #egress(key: string, address: string): Row | undefined {
    const device = servedDevice(this.#state, address);
    const wan = device === undefined ? null : chosenWan(this.#state, device);
    const toAddress = wan === null || !this.#ways.leads(wan) ? undefined : this.#addressOf.get(wan)?.[0];
    if (device === undefined || toAddress === undefined) return undefined;
    const spec = { kind: "egress", address, toAddress } as const;
    return { key, spec, owners: [device.id], revision: this.#revisionOf(device) };
  }

  /** What has no row leaves by the usual way. */
  #hostVia(key: string, address: string): Row | undefined {
    const own = this.#ways.with(address);
    if (own !== undefined) {
      const spec = { kind: "hostVia", address, via: own.number } as const;
      return own.gateway === null
        ? undefined
        : { key, spec, owners: ["settings"], revision: this.#state.topologyRevision };
    }
    const device = servedDevice(this.#state, address);
    const via = this.#viaOf(device);
    if (device === undefined || via === undefined) return undefined;
    const spec = { kind: "hostVia", address, via } as const;
    return { key, spec, owners: [device.id], revision: this.#revisionOf(device) };
  }

  /** A mapped port whose packets have to leave by another WAN than the rest of its host's. */
  #portVia(key: string, address: string, protocol: Transport, port: number): Row | undefined {
    const [mapping] = this.#leaving(address, protocol, port);
    const via = mapping === undefined ? undefined : this.#ways.by(mapping.wan)?.number;
    if (mapping === undefined || via === undefined) return undefined;
    const device = servedDevice(this.#state, address);
    // Behind an interface that is not served nothing leaves the usual way by our doing.
    const usual = mapping.interface === null ? undefined : this.#ways.usual?.number;
    if (via === (this.#viaOf(device) ?? usual)) return undefined;
    const revision = Math.max(this.#revision(mapping), device === undefined ? 0 : this.#revisionOf(device));
    return { key, spec: { kind: "portVia", address, protocol, port, via }, owners: [mapping.id], revision };
  }

  #viaOf(device: Device | undefined): number | undefined {
    const wan = device === undefined ? null : chosenWan(this.#state, device);
    return wan === null ? undefined : this.#ways.by(wan)?.number;
  }

  #revisionOf(device: Device): number {
    const subnet = device.subnet === null ? undefined : this.#state.subnets[device.subnet];
    return Math.max(device.revision, subnet?.revision ?? 0, this.#state.topologyRevision);
  }

  #severed(key: string, stateKey: string): Row | undefined {
    const row = tableGet(this.#state.severed, stateKey);
    if (row === undefined) return undefined;
    const { address, protocol, port, count, revision } = row;
    // Lost and found: its flows are live again, and a restart must not end them.
    if (count === 0 && this.#wansAt.has(address)) return undefined;
    return {
      key,
      spec: { kind: "severed", address, protocol, port, count, decidedAt: revision },
      owners: ["operator"],
      revision,
    };
  }

  #revision(mapping: Mapping): number {
    return Math.max(mapping.specRevision, this.#state.topologyRevision);
  }
}

const placeOf = ({ externalPort, count }: Mapping, { address, protocol }: Ports) =>
  ({ address, protocol, firstPort: externalPort, lastPort: externalPort + count - 1 }) as const;

export function selectForwards(instanceId: string): (state: State) => DesiredTable<ForwardRow> {
  return remembering((state) => new ForwardTable(state, instanceId));
}
