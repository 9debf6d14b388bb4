import type { Transport } from "../../events/fields.ts";
import { chosenWan } from "../device-wan.ts";
import { mappingsTo } from "../port-index.ts";
import { isOpen } from "../reach.ts";
import { seenSource, servedDevice } from "../served-device.ts";
import type { Device, Mapping, State } from "../state.ts";
import type { Desired } from "./desired.ts";
import { type OpenPorts, oldestFirst } from "./open-ports.ts";
import type { ForwardRow } from "./rows.ts";
import type { WaysOut } from "./ways-out.ts";

type Row = Desired<ForwardRow>;

/** Rows of the table `portreeve` for what a host sends: which address it has outside, and by which WAN it leaves. */
export class LeavingRows {
  readonly #state: State;
  readonly #open: OpenPorts;
  readonly #ways: WaysOut;

  constructor(state: State, open: OpenPorts, ways: WaysOut) {
    this.#state = state;
    this.#open = open;
    this.#ways = ways;
  }

  get(key: string): Row | undefined {
    const [kind, address = "", protocol = "", port = ""] = key.split("|");
    switch (kind) {
      case "outbound":
        return this.#outbound(key, address, protocol as Transport, Number(port));
      case "visited":
        return this.#visited(key, address, protocol as Transport, Number(port));
      case "egress":
        return this.#egress(key, address);
      case "hostVia":
        return this.#hostVia(key, address);
      case "portVia":
        return this.#portVia(key, address, protocol as Transport, Number(port));
      default:
        return undefined;
    }
  }

  /** Open forwards of whole ports to an internal port. */
  #reaching(address: string, protocol: Transport, port: number): Mapping[] {
    const leading = mappingsTo(this.#state, address, protocol, port);
    return leading.filter(
      (mapping) => isOpen(mapping) && mapping.name === null && this.#open.addressesOf(mapping.wan).length > 0,
    );
  }

  /** Where several external ports hang on one internal port, what leaves it has the oldest's: the first. */
  #leaving(address: string, protocol: Transport, port: number): Mapping[] {
    const leading = this.#reaching(address, protocol, port).filter(({ wan }) => this.#ways.leads(wan));
    return oldestFirst(leading);
  }

  #outbound(key: string, address: string, protocol: Transport, port: number): Row | undefined {
    const enabled = this.#leaving(address, protocol, port);
    const [oldest] = enabled;
    if (oldest === undefined) return undefined;
    const toAddress = this.#open.addressesOf(oldest.wan)[0] as string;
    const toPort = oldest.externalPort + (port - oldest.internalPort);
    const spec = { kind: "outbound", address, protocol, port, toAddress, toPort } as const;
    return {
      key,
      spec,
      owners: enabled.map((mapping) => mapping.id).sort(),
      revision: revisionOf(this.#state, oldest),
    };
  }

  /** Of several forwards to one internal side, one is enough: the kernel no longer tells them apart there. */
  #visited(key: string, address: string, protocol: Transport, port: number): Row | undefined {
    const device = servedDevice(this.#state, address);
    const reaching = this.#reaching(address, protocol, port);
    const visited = reaching.filter((mapping) => seenSource(mapping, device) === "gateway");
    if (visited.length === 0) return undefined;
    const revision = Math.max(device?.revision ?? 0, ...visited.map((mapping) => revisionOf(this.#state, mapping)));
    const spec = { kind: "visited", address, protocol, port } as const;
    return { key, spec, owners: visited.map((mapping) => mapping.id).sort(), revision };
  }

  /** While the WAN it was given has no address, or leads nowhere, it leaves like the others. */
  #egress(key: string, address: string): Row | undefined {
    const device = servedDevice(this.#state, address);
    const wan = device === undefined ? null : chosenWan(this.#state, device);
    const toAddress = wan === null || !this.#ways.leads(wan) ? undefined : this.#open.addressesOf(wan)[0];
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
    const revision = Math.max(revisionOf(this.#state, mapping), device === undefined ? 0 : this.#revisionOf(device));
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
}

/** Number of the record since which a row of a mapping is as it is. */
export const revisionOf = ({ topologyRevision }: State, { specRevision }: Mapping): number =>
  Math.max(specRevision, topologyRevision);
