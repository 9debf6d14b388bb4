import { type ReadonlyTable, tableChanges, tableGet, tableRows } from "../lib/table.ts";
import { isPinhole, type Mapping, type State } from "./state.ts";

let last: { readonly mappings: ReadonlyTable<Mapping>; readonly ids: Set<string> } | null = null;

/** All pinholes. There are few among many forwards: which they are is remembered, and follows what changes. */
export function pinholesOf({ mappings }: Pick<State, "mappings">): Mapping[] {
  const ids = last?.ids ?? new Set<string>();
  if (last === null) for (const mapping of tableRows(mappings)) follow(ids, mapping.id, mapping);
  else if (last.mappings !== mappings) {
    for (const { key, after } of tableChanges(last.mappings, mappings)) follow(ids, key, after);
  }
  last = { mappings, ids };
  return [...ids].flatMap((id) => tableGet(mappings, id) ?? []);
}

function follow(ids: Set<string>, id: string, mapping: Mapping | undefined): void {
  if (mapping !== undefined && isPinhole(mapping)) ids.add(id);
  else ids.delete(id);
}
