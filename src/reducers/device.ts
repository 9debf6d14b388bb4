import { tableGet, tableSet, tableSweep } from "../lib/table.ts";
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

function ensureDevice(draft: State, iface: string, address: string, now: number): Device {
  const key = deviceKey(iface, address);
  const known = tableGet(draft.devices, key);
  if (known !== undefined) return known;
  const limits = draft.settings.portControl.perDevice;
  const burst = limits.eventBurst;
  // Without a claim a device is kept only while it owes tokens.
  tableSweep(draft.devices, key, (other) => other.mappingIds.length === 0 && tokensOf(other, limits, now) >= burst);
  tableSet(draft.devices, key, { interface: iface, address, mappingIds: [], ports: 0, tokens: burst, tokensAt: now });
  return tableGet(draft.devices, key) as Device;
}

/** Each event that a device caused costs it one token; decide refuses it at none, a release may go below no further than zero. */
export function spendToken(draft: State, iface: string, address: string, now: number): void {
  const device = ensureDevice(draft, iface, address, now);
  device.tokens = Math.max(0, tokensOf(device, draft.settings.portControl.perDevice, now) - 1);
  device.tokensAt = now;
}

/** The device behind a mapping, if a device (not only an operator) holds a claim on it. */
export function holderOf(mapping: Mapping): { interface: string; address: string } | null {
  if (mapping.interface === null || !mapping.claims.some((claim) => claim.device !== null)) return null;
  return { interface: mapping.interface, address: mapping.internalAddress };
}

export function holdMapping(draft: State, mapping: Mapping, now: number): void {
  const holder = holderOf(mapping);
  if (holder === null) return;
  const device = ensureDevice(draft, holder.interface, holder.address, now);
  if (device.mappingIds.includes(mapping.id)) return;
  device.mappingIds.push(mapping.id);
  device.ports += mapping.count;
}

/** Call before the last device claim goes or the mapping's place changes. */
export function dropMapping(draft: State, mapping: Mapping): void {
  const holder = holderOf(mapping);
  if (holder === null) return;
  const device = tableGet(draft.devices, deviceKey(holder.interface, holder.address));
  if (device === undefined || !device.mappingIds.includes(mapping.id)) return;
  device.mappingIds = device.mappingIds.filter((id) => id !== mapping.id);
  device.ports -= mapping.count;
}
