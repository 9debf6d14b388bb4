import { tableSet, tableSweep } from "../lib/table.ts";
import { editRow } from "./fork.ts";
import { byAge } from "./port-index.ts";
import { hostOf, type Usage, usageKey, type Mapping, type State } from "./state.ts";

/** What a device's event bucket holds at `now`, refilled since it was last drawn from. */
export function tokensOf(
  device: Usage | undefined,
  limits: { eventBurst: number; eventsPerMinute: number },
  now: number,
): number {
  if (device === undefined) return limits.eventBurst;
  const refilled = ((now - device.tokensAt) / 60_000) * limits.eventsPerMinute;
  return Math.min(limits.eventBurst, device.tokens + Math.max(0, refilled));
}

/** Changes a device's row, which is made if it is not there. */
function editUsage(draft: State, iface: string, address: string, now: number, recipe: (device: Usage) => void): void {
  const key = usageKey(iface, address);
  if (editRow(draft.usages, key, recipe)) return;
  addUsage(draft, key, { iface, address, now });
  editRow(draft.usages, key, recipe);
}

function addUsage(
  draft: State,
  key: string,
  { iface, address, now }: { iface: string; address: string; now: number },
): void {
  const limits = draft.settings.portControl.perDevice;
  const burst = limits.eventBurst;
  // Without a claim a device is kept only while it owes tokens.
  tableSweep(draft.usages, key, (other) => other.mappingIds.length === 0 && tokensOf(other, limits, now) >= burst);
  tableSet(draft.usages, key, { interface: iface, address, mappingIds: [], ports: 0, tokens: burst, tokensAt: now });
}

/** Each event that a device caused costs it one token; decide refuses it at none, a release may go below no further than zero. */
export function spendToken(draft: State, iface: string, address: string, now: number): void {
  const limits = draft.settings.portControl.perDevice;
  editUsage(draft, iface, address, now, (device) => {
    device.tokens = Math.max(0, tokensOf(device, limits, now) - 1);
    device.tokensAt = now;
  });
}

/** The device behind a mapping, if a device (not only an operator) holds a claim on it. */
export function holderOf(mapping: Mapping): { interface: string; address: string } | null {
  if (mapping.interface === null || !mapping.claims.some((claim) => claim.device !== null)) return null;
  return { interface: mapping.interface, address: hostOf(mapping) };
}

export function holdMapping(draft: State, mapping: Mapping, now: number): void {
  const holder = holderOf(mapping);
  if (holder === null) return;
  const { id, count } = mapping;
  editUsage(draft, holder.interface, holder.address, now, (device) => {
    if (device.mappingIds.includes(id)) return;
    device.mappingIds = byAge(draft, device.mappingIds, mapping);
    device.ports += count;
  });
}

/** Call before the last device claim goes or the mapping's place changes. */
export function dropMapping(draft: State, mapping: Mapping): void {
  const holder = holderOf(mapping);
  if (holder === null) return;
  editRow(draft.usages, usageKey(holder.interface, holder.address), (device) => {
    if (!device.mappingIds.includes(mapping.id)) return;
    device.mappingIds = device.mappingIds.filter((id) => id !== mapping.id);
    device.ports -= mapping.count;
  });
}
