import type { Transport } from "../events/fields.ts";
import { assert } from "../lib/assert.ts";
import { type ReadonlyTable, sealedBase, type TableChange, tableChanges, tableEntries } from "../lib/table.ts";
import type { Mapping, State } from "./state.ts";

type Holds = Map<string, Set<string>>;

const targetKey = (address: string, protocol: Transport): string => `${address}|${protocol}`;
const isHeld = (mapping: Mapping): boolean => mapping.claims.some((claim) => claim.source === "manual");

let last: { readonly mappings: ReadonlyTable<Mapping>; readonly holds: Holds } | null = null;

/**
 * Ids of the mappings to a host that an operator holds. No index of the state has them and walking all of them for each
 * request that asks would be an invitation; so they are remembered as of the last commit and follow what changed since.
 */
export function operatorHolds({ mappings }: State, address: string, protocol: Transport): string[] {
  const committed = sealedBase(mappings);
  assert(committed !== null, "a command is decided on a committed state or a fork of one");
  const remembered = holdsOf(committed);
  // What this very commit group changed is for this one answer only: it may never be written.
  const key = targetKey(address, protocol);
  const holds: Holds = new Map([[key, new Set(remembered.get(key))]]);
  for (const change of tableChanges(committed, mappings)) follow(holds, change);
  return [...(holds.get(key) ?? [])];
}

function holdsOf(mappings: ReadonlyTable<Mapping>): Holds {
  const holds: Holds = last?.holds ?? new Map<string, Set<string>>();
  if (last?.mappings === mappings) return holds;
  const changes = last === null ? allAdded(mappings) : tableChanges(last.mappings, mappings);
  for (const change of changes) follow(holds, change);
  last = { mappings, holds };
  return holds;
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
