import { tableSet, tableSweep } from "../lib/table.ts";
import { editRow } from "./fork.ts";
import { type Device, deviceKey, type Mapping, type State } from "./state.ts";

/** What a device's event bucket holds at `now`, refilled since it was last drawn from. */
export function tokensOf(
  device: Device | undefined,
  limits: { eventBurst: number; eventsPerMinute: number },
  now: number,
): number {
  if (device === undefined) return limits.eventBurst;
  const refilled = ((now - device.tokensAt) / 60_000) * limits.eventsPerMinute;
  return Math.min(limits.eventBurst, device.tokens + Math.max(0, refilled));
}

/** Changes a device's row, which is made if it is not there. */
function editDevice(draft: State, iface: string, address: string, now: number, recipe: (device: Device) => void): void {
  const key = deviceKey(iface, address);
  if (editRow(draft.devices, key, recipe)) return;
  addDevice(draft, key, { iface, address, now });
  editRow(draft.devices, key, recipe);
}

function addDevice(
  draft: State,
  key: string,
  { iface, address, now }: { iface: string; address: string; now: number },
): void {
  const limits = draft.settings.portControl.perDevice;
  const burst = limits.eventBurst;
  // Without a claim a device is kept only while it owes tokens.
  tableSweep(draft.devices, key, (other) => other.mappingIds.length === 0 && tokensOf(other, limits, now) >= burst);
  tableSet(draft.devices, key, { interface: iface, address, mappingIds: [], ports: 0, tokens: burst, tokensAt: now });
}

/** Each event that a device caused costs it one token; decide refuses it at none, a release may go below no further than zero. */
export function spendToken(draft: State, iface: string, address: string, now: number): void {
  const limits = draft.settings.portControl.perDevice;
  editDevice(draft, iface, address, now, (device) => {
    device.tokens = Math.max(0, tokensOf(device, limits, now) - 1);
    device.tokensAt = now;
  });
}

/** The device behind a mapping, if a device (not only an operator) holds a claim on it. */
export function holderOf(mapping: Mapping): { interface: string; address: string } | null {
  if (mapping.interface === null || !mapping.claims.some((claim) => claim.device !== null)) return null;
  return { interface: mapping.interface, address: mapping.internalAddress };
}

export function holdMapping(draft: State, mapping: Mapping, now: number): void {
  const holder = holderOf(mapping);
  if (holder === null) return;
  const { id, count } = mapping;
  editDevice(draft, holder.interface, holder.address, now, (device) => {
    if (device.mappingIds.includes(id)) return;
    device.mappingIds = [...device.mappingIds, id];
    device.ports += count;
  });
}

/** Call before the last device claim goes or the mapping's place changes. */
export function dropMapping(draft: State, mapping: Mapping): void {
  const holder = holderOf(mapping);
  if (holder === null) return;
  editRow(draft.devices, deviceKey(holder.interface, holder.address), (device) => {
    if (!device.mappingIds.includes(mapping.id)) return;
    device.mappingIds = device.mappingIds.filter((id) => id !== mapping.id);
    device.ports -= mapping.count;
  });
}
