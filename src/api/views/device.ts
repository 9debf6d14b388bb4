import { parseIpv4 } from "../../lib/ip.ts";
import type { PeerActivitySource, TrafficSpan } from "../../lib/peer-activity.ts";
import { tableRows } from "../../lib/table.ts";
import { ownName } from "../../reducers/dns-view.ts";
import { wanOf } from "../../reducers/device-wan.ts";
import { deviceAt, profileOf } from "../../reducers/device.ts";
import { deviceIpv6 } from "../../reducers/ipv6-host.ts";
import { externalAddress, preferredWan } from "../../reducers/external-address.ts";
import { siteInterface, siteOf } from "../../reducers/served.ts";
import { type Device, type State, UNKNOWN_HOST, type Usage } from "../../reducers/state.ts";
import { countsOf, tokensLeft, usagesOf } from "../../reducers/usage.ts";
import type { DeviceDocument, TrafficDocument } from "../schemas/device.ts";
import { isoTime, isoTimeOrNull } from "../../lib/iso-time.ts";

export interface DeviceContext {
  readonly state: State;
  readonly now: number;
  readonly activity: PeerActivitySource;
}

/** The id of an address that nobody registered: that is all there is to name it by. */
export const strangerId = (iface: string, address: string): string => `${address}@${iface}`;

/** The registered device behind an address of a served interface. */
export function registeredAt(state: State, iface: string, address: string): Device | undefined {
  return deviceAt(state, siteOf(state, iface), address);
}

/** Registered devices, and addresses that hold a port without; by where they are. */
export function devicesView(context: DeviceContext): DeviceDocument[] {
  const { state } = context;
  const registered = [...tableRows(state.devices)].map((device) => deviceView(context, device));
  const strangers = [...tableRows(state.usages)]
    .filter(({ mappingIds }) => mappingIds.length > 0)
    .filter((usage) => registeredAt(state, usage.interface, usage.address) === undefined)
    .map((usage) => strangerView(context, usage));
  return [...registered, ...strangers].sort(byPlace);
}

export function deviceView(context: DeviceContext, device: Device): DeviceDocument {
  const { state } = context;
  const subnet = device.subnet === null ? undefined : state.subnets[device.subnet];
  const iface = siteInterface(state, device);
  const wan = wanOf(state, device);
  return {
    id: device.id,
    name: device.name,
    registered: true,
    kind: device.kind,
    subnet: subnet === undefined ? null : { id: subnet.id, name: subnet.name },
    interface: iface,
    address: device.address,
    ipv6: deviceIpv6(state, device),
    rights: { ports: device.ports, dns: device.dns },
    dnsName: ownName(state, device),
    zones: [...device.zones],
    mapsFor: [...device.mapsFor],
    wan: device.wan,
    externalAddress: wan === null ? null : externalAddress(state, wan),
    profile: device.subnet === null ? null : profileOf(device),
    publicKey: device.publicKey,
    privateKeyKept: device.privateKeySecret !== null,
    expiresAt: isoTimeOrNull(device.expiresAt),
    ...heldBy(context, usagesOf(state, device.interface, device.address)),
    tunnel: device.subnet === null ? null : tunnelOf(context, device.publicKey),
    managedBy: device.managedBy ?? null,
    revision: device.revision,
  };
}

function strangerView(context: DeviceContext, usage: Usage): DeviceDocument {
  const { state } = context;
  const wan = preferredWan(state);
  const unknown = usage.address === UNKNOWN_HOST;
  return {
    id: strangerId(usage.interface, usage.address),
    name: unknown ? "IPv6 hosts without a known IPv4 address" : usage.address,
    registered: false,
    kind: null,
    subnet: null,
    interface: usage.interface,
    address: usage.address,
    ipv6: null,
    rights: null,
    dnsName: null,
    zones: [],
    mapsFor: [],
    wan: null,
    externalAddress: wan === null ? null : externalAddress(state, wan),
    profile: null,
    publicKey: null,
    privateKeyKept: false,
    expiresAt: null,
    ...heldBy(context, [usage]),
    tunnel: null,
    managedBy: null,
    revision: null,
  };
}

function heldBy({ state, now }: DeviceContext, usages: readonly Usage[]) {
  const limits = state.settings.portControl.perDevice;
  return {
    mappings: usages.flatMap(({ mappingIds }) => mappingIds),
    ports: countsOf(usages).ports,
    quota: { mappings: limits.mappings, ports: limits.ports, events: limits.eventBurst },
    eventsLeft: Math.floor(tokensLeft(usages, limits, now)),
  };
}

function tunnelOf({ activity }: DeviceContext, publicKey: string | null): DeviceDocument["tunnel"] {
  const known = publicKey === null ? undefined : activity.activity(publicKey);
  return {
    handshakeAt: isoTimeOrNull(known?.handshakeAt ?? null),
    endpoint: known?.endpoint ?? null,
    receivedBytes: known?.received ?? 0,
    sentBytes: known?.sent ?? 0,
  };
}

/** "received" is what we had from it. */
export function trafficView(activity: PeerActivitySource, publicKey: string, span: TrafficSpan): TrafficDocument {
  const { slotMs = 0, slots = [] } = activity.history(publicKey, span) ?? {};
  return {
    span,
    slotSeconds: slotMs / 1000,
    slots: slots.map(({ at, received, sent }) => ({ at: isoTime(at), receivedBytes: received, sentBytes: sent })),
  };
}

function byPlace(a: DeviceDocument, b: DeviceDocument): number {
  const [one, other] = [a.subnet?.name ?? a.interface ?? "", b.subnet?.name ?? b.interface ?? ""];
  if (one !== other) return one < other ? -1 : 1;
  return (parseIpv4(a.address) ?? 0) - (parseIpv4(b.address) ?? 0);
}
