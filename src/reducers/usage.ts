import { TableIndex } from "../lib/table-index.ts";
import { tableGet, tableSet, tableSweep } from "../lib/table.ts";
import { editRow } from "./fork.ts";
import { byAge } from "./port-index.ts";
import { siteOf, tunnelInterface } from "./served.ts";
import { hostOf, type Usage, usageKey, type Mapping, type State } from "./state.ts";

interface EventLimits {
  readonly eventBurst: number;
  readonly eventsPerMinute: number;
}

/** What a device's event bucket holds at `now`, refilled since it was last drawn from. */
function tokensOf({ tokens, tokensAt }: Usage, limits: EventLimits, now: number): number {
  const refilled = ((now - tokensAt) / 60_000) * limits.eventsPerMinute;
  return Math.min(limits.eventBurst, tokens + Math.max(0, refilled));
}

/** Of all its usages: each event is drawn from the one of its mapping. */
export const tokensLeft = (usages: readonly Usage[], limits: EventLimits, now: number): number =>
  Math.min(limits.eventBurst, ...usages.map((usage) => tokensOf(usage, limits, now)));

const INTERFACES = new TableIndex<Usage>((usage) => usage.interface);

/**
 * What an address has used of what it may. A usage bears the name that its interface had, and the one of WireGuard may
 * have had others before: they are as old as a commit at least, for the name changes with the settings alone.
 */
export function usagesOf(state: State, site: string | null, address: string): Usage[] {
  const others = site === null ? INTERFACES.places(state.usages).filter((name) => siteOf(state, name) === null) : [];
  const names = new Set([...others, site ?? tunnelInterface(state) ?? ""]);
  return [...names].flatMap((name) => tableGet(state.usages, usageKey(name, address)) ?? []);
}

/** The mappings that it has claims on. */
export function heldBy(state: State, site: string | null, address: string): Mapping[] {
  return usagesOf(state, site, address)
    .flatMap(({ mappingIds }) => mappingIds)
    .flatMap((id) => tableGet(state.mappings, id) ?? []);
}

/** How much that is, as quotas count it. */
export function countsOf(usages: readonly Usage[]): { readonly mappings: number; readonly ports: number } {
  const counts = { mappings: 0, ports: 0 };
  for (const { mappingIds, ports } of usages) {
    counts.mappings += mappingIds.length;
    counts.ports += ports;
  }
  return counts;
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
