import { parseIpv4 } from "../../lib/ip.ts";
import { tableRows } from "../../lib/table.ts";
import { tokensOf } from "../../reducers/usage.ts";
import type { Usage, State } from "../../reducers/state.ts";
import type { DeviceDocument } from "../schemas/status.ts";

/** A LAN device is an address on a served interface: that is all there is to name it by. */
export const deviceId = (iface: string, address: string): string => `${address}@${iface}`;

/** Devices that hold a port, by interface and address. */
export function devicesView(state: State, now: number): DeviceDocument[] {
  return [...tableRows(state.usages)]
    .filter((device) => device.mappingIds.length > 0)
    .sort(byAddress)
    .map((device) => deviceView(device, state, now));
}

function deviceView(device: Usage, state: State, now: number): DeviceDocument {
  const limits = state.settings.portControl.perDevice;
  return {
    id: deviceId(device.interface, device.address),
    name: device.address,
    interface: device.interface,
    address: device.address,
    mappings: [...device.mappingIds],
    ports: device.ports,
    quota: { mappings: limits.mappings, ports: limits.ports, events: limits.eventBurst },
    eventsLeft: Math.floor(tokensOf(device, limits, now)),
  };
}

function byAddress(a: Usage, b: Usage): number {
  if (a.interface !== b.interface) return a.interface < b.interface ? -1 : 1;
  return (parseIpv4(a.address) ?? 0) - (parseIpv4(b.address) ?? 0);
}
