import type { Transport } from "../events/fields.ts";
import { tableDelete, tableGet, tableSet } from "../lib/table.ts";
import { externalKey, internalKey, type Mapping, type State } from "./state.ts";

type Ported = Pick<
  Mapping,
  "id" | "wan" | "protocol" | "externalPort" | "internalAddress" | "internalPort" | "count" | "createdSeq"
>;

/** The mapping that holds an external port; a range holds each of its ports. */
export function mappingAt(state: State, wan: string, protocol: Transport, port: number): Mapping | undefined {
  const id = tableGet(state.byExternal, externalKey(wan, protocol, port));
  return id === undefined ? undefined : tableGet(state.mappings, id);
}

/** The mappings that lead to an internal port, oldest first. */
export function mappingsTo(state: State, address: string, protocol: Transport, port: number): Mapping[] {
  const ids = tableGet(state.byInternal, internalKey(address, protocol, port)) ?? [];
  return ids.flatMap((id) => tableGet(state.mappings, id) ?? []);
}

/** Ids of mappings, oldest first, and one more; mostly the youngest, but an edited or restored one keeps its age. */
export function byAge(draft: State, ids: readonly string[], mapping: Pick<Mapping, "id" | "createdSeq">): string[] {
  const isYounger = (id: string | undefined): boolean =>
    id !== undefined && (tableGet(draft.mappings, id)?.createdSeq ?? 0) > mapping.createdSeq;
  if (!isYounger(ids.at(-1))) return [...ids, mapping.id];
  return ids.toSpliced(ids.findIndex(isYounger), 0, mapping.id);
}

/** Both indexes follow each change of a mapping: add what it holds. */
export function indexPorts(draft: State, mapping: Ported): void {
  for (let offset = 0; offset < mapping.count; offset += 1) {
    tableSet(draft.byExternal, externalKey(mapping.wan, mapping.protocol, mapping.externalPort + offset), mapping.id);
    const inner = internalKey(mapping.internalAddress, mapping.protocol, mapping.internalPort + offset);
    tableSet(draft.byInternal, inner, byAge(draft, tableGet(draft.byInternal, inner) ?? [], mapping));
  }
}

/** Remove what it held. */
export function unindexPorts(draft: State, mapping: Ported): void {
  for (let offset = 0; offset < mapping.count; offset += 1) {
    tableDelete(draft.byExternal, externalKey(mapping.wan, mapping.protocol, mapping.externalPort + offset));
    const inner = internalKey(mapping.internalAddress, mapping.protocol, mapping.internalPort + offset);
    const ids = (tableGet(draft.byInternal, inner) ?? []).filter((id) => id !== mapping.id);
    if (ids.length === 0) tableDelete(draft.byInternal, inner);
    else tableSet(draft.byInternal, inner, ids);
  }
}
