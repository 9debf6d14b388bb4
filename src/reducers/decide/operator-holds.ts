import type { Transport } from "../../events/fields.ts";
import { isSealed, type ReadonlyTable, type TableChange, tableChanges, tableEntries } from "../../lib/table.ts";
import type { Mapping, State } from "../state.ts";

type Holds = Map<string, Set<string>>;

const targetKey = (address: string, protocol: Transport): string => `${address}|${protocol}`;
const isHeld = (mapping: Mapping): boolean => mapping.claims.some((claim) => claim.source === "manual");

let last: { readonly mappings: ReadonlyTable<Mapping>; readonly holds: Holds } | null = null;

/**
 * Ids of the mappings to a host that an operator holds. No index of the state has them and walking all of them for each
 * request that asks would be an invitation; so they are remembered and follow what changed between two states.
 */
export function operatorHolds({ mappings }: State, address: string, protocol: Transport): string[] {
  const changes = last === null ? allAdded(mappings) : tableChanges(last.mappings, mappings);
  if (isSealed(mappings)) {
    const holds: Holds = last?.holds ?? new Map<string, Set<string>>();
    for (const change of changes) follow(holds, change);
    last = { mappings, holds };
    return [...(holds.get(targetKey(address, protocol)) ?? [])];
  }
  // Still being written to: for this one answer only.
  const key = targetKey(address, protocol);
  const holds: Holds = new Map([[key, new Set(last?.holds.get(key))]]);
  for (const change of changes) follow(holds, change);
  return [...(holds.get(key) ?? [])];
}

function allAdded(mappings: ReadonlyTable<Mapping>): TableChange<Mapping>[] {
  return [...tableEntries(mappings)].map(([key, after]) => ({ key, before: undefined, after }));
}

function follow(holds: Holds, { key, before, after }: TableChange<Mapping>): void {
  if (before !== undefined) drop(holds, targetKey(before.internalAddress, before.protocol), key);
  if (after !== undefined && isHeld(after)) add(holds, targetKey(after.internalAddress, after.protocol), key);
}

function add(holds: Holds, target: string, id: string): void {
  const ids = holds.get(target);
  if (ids === undefined) holds.set(target, new Set([id]));
  else ids.add(id);
}

function drop(holds: Holds, target: string, id: string): void {
  const ids = holds.get(target);
  if (ids?.delete(id) === true && ids.size === 0) holds.delete(target);
}
