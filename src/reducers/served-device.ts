import { tableChanges, tableRows } from "../lib/table.ts";
import { deviceAt, profileOf } from "./device.ts";
import { servedInterfaces } from "./served.ts";
import type { Device, Mapping, State } from "./state.ts";

/** The registered device of an address that we serve now. */
export function servedDevice(state: State, address: string): Device | undefined {
  for (const served of servedInterfaces(state)) {
    const device = deviceAt(state, served.tunnel ? null : served.interface, address);
    if (device !== undefined) return device;
  }
  return undefined;
}

/** Devices that are not as they were, and those whose subnet is not. */
export function* devicesChanged(before: State, after: State): Generator<Device> {
  for (const { before: old, after: now } of tableChanges(before.devices, after.devices)) {
    if (old !== undefined) yield old;
    if (now !== undefined) yield now;
  }
  if (before.subnets === after.subnets) return;
  for (const device of tableRows(after.devices)) {
    const id = device.subnet;
    if (id !== null && before.subnets[id] !== after.subnets[id]) yield device;
  }
}

/** What a mapping's host sees of visitors. In the profile `split` a device answers nobody outside of the tunnel. */
export function seenSource(mapping: Mapping, device: Device | undefined): "keep" | "gateway" {
  if (mapping.sourceAddress !== null) return mapping.sourceAddress;
  return device !== undefined && profileOf(device) === "split" ? "gateway" : "keep";
}
