import { ipv6For, parseIpv6Prefix } from "../../lib/ipv6.ts";
import { tableChanges, tableRows } from "../../lib/table.ts";
import { tunnelInterface } from "../served.ts";
import type { Device, State } from "../state.ts";
import { type Desired, type DesiredTable, remembering } from "./desired.ts";
import type { WireguardRow } from "./rows.ts";

type Row = Desired<WireguardRow>;
const PEER = "peer|";

/** Rows of the WireGuard interface: there while a device is on a subnet, one peer for each. */
class WireguardTable implements DesiredTable<WireguardRow> {
  readonly #state: State;
  /** Device id by public key, made when it is first asked for. */
  #byKey: Map<string, Device> | null = null;

  constructor(state: State) {
    this.#state = state;
  }

  get(key: string): Row | undefined {
    if (key === "link") return this.#link();
    if (!key.startsWith(PEER) || tunnelInterface(this.#state) === null) return undefined;
    this.#byKey ??= new Map([...this.#peers()].map((device) => [device.publicKey as string, device]));
    const device = this.#byKey.get(key.slice(PEER.length));
    return device === undefined ? undefined : this.#peer(device);
  }

  *rows(): Iterable<Row> {
    const link = this.#link();
    if (link === undefined) return;
    yield link;
    for (const device of this.#peers()) yield this.#peer(device);
  }

  changedSince(previous: DesiredTable<WireguardRow>): Iterable<string> | null {
    if (!(previous instanceof WireguardTable)) return null;
    const [before, after] = [previous.#state, this.#state];
    const same =
      before.settingsRevision === after.settingsRevision &&
      before.servedRevision === after.servedRevision &&
      before.wireguard === after.wireguard &&
      before.subnets === after.subnets;
    if (!same) return null;
    return tableChanges(before.devices, after.devices).flatMap(({ before: old, after: now }) =>
      [old, now].flatMap((device) => (device?.publicKey == null ? [] : [PEER + device.publicKey])),
    );
  }

  *#peers(): Generator<Device> {
    for (const device of tableRows(this.#state.devices)) {
      if (device.subnet !== null && device.publicKey !== null) yield device;
    }
  }

  #link(): Row | undefined {
    const { settings, wireguard, settingsRevision, servedRevision } = this.#state;
    if (tunnelInterface(this.#state) === null || settings.wireguard === null || wireguard === null) return undefined;
    const { publicKey, privateKeySecret } = wireguard;
    const { interface: name, listenPort } = settings.wireguard;
    const spec = { kind: "link", interface: name, listenPort, publicKey, privateKeySecret } as const;
    const revision = Math.max(settingsRevision, servedRevision, wireguard.revision);
    return { key: "link", spec, owners: ["settings"], revision };
  }

  #peer(device: Device): Row {
    const publicKey = device.publicKey as string;
    const subnet = this.#state.subnets[device.subnet as string];
    const allowedIps = [`${device.address}/32`];
    const ipv6 = subnet?.ipv6Prefix == null ? null : parseIpv6Prefix(subnet.ipv6Prefix);
    if (ipv6 !== null) allowedIps.push(`${ipv6For(ipv6, device.address)}/128`);
    const spec = { kind: "peer", publicKey, presharedKeySecret: device.presharedKeySecret, allowedIps } as const;
    const revision = Math.max(device.revision, subnet?.revision ?? 0);
    return { key: PEER + publicKey, spec, owners: [device.id], revision };
  }
}

export function selectWireguard(): (state: State) => DesiredTable<WireguardRow> {
  return remembering((state) => new WireguardTable(state));
}
