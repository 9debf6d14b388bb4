import { isDraft, original } from "immer";
import type { Transport } from "../../events/fields.ts";
import { type ReadonlyTable, tableChanges, tableEntries, tableGet } from "../../lib/table.ts";
import type { Mapping, State } from "../state.ts";

type Holds = Map<string, Set<string>>;

const targetKey = (address: string, protocol: Transport): string => `${address}|${protocol}`;
const isHeld = (mapping: Mapping): boolean => mapping.claims.some((claim) => claim.source === "manual");

let last: { readonly mappings: ReadonlyTable<Mapping>; readonly holds: Holds } | null = null;

/**
 * Ids of the mappings to a host that an operator holds, as of the last commit and of those that are there still: what
 * a command before this one in its group adds is not seen. No index of the state has them and walking all of them,
 * through a draft, takes a second at 50,000; so they are remembered and follow what changed between two states.
 */
export function operatorHolds(state: State, address: string, protocol: Transport): string[] {
  const committed = isDraft(state.mappings) ? original(state.mappings) : state.mappings;
  const mappings = committed ?? state.mappings;
  if (last?.mappings !== mappings) last = { mappings, holds: holdsOf(mappings) };
  const ids = [...(last.holds.get(targetKey(address, protocol)) ?? [])];
  return ids.filter((id) => {
    const mapping = tableGet(state.mappings, id);
    return mapping !== undefined && isHeld(mapping);
  });
}

function holdsOf(mappings: ReadonlyTable<Mapping>): Holds {
  const holds: Holds = last?.holds ?? new Map<string, Set<string>>();
  const changes =
    last === null
      ? [...tableEntries(mappings)].map(([key, after]) => ({ key, before: undefined, after }))
      : tableChanges(last.mappings, mappings);
  for (const { key, before, after } of changes) {
    if (before !== undefined) drop(holds, targetKey(before.internalAddress, before.protocol), key);
    if (after !== undefined && isHeld(after)) add(holds, targetKey(after.internalAddress, after.protocol), key);
  }
  return holds;
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
