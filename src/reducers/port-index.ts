import type { Transport } from "../events/fields.ts";
import { type Table, tableDelete, tableGet, tableSet } from "../lib/table.ts";
import { externalKey, internalKey, type Mapping, type State } from "./state.ts";

type Ported = Pick<
  Mapping,
  "id" | "wan" | "protocol" | "externalPort" | "internalAddress" | "internalPort" | "count" | "name" | "createdSeq"
>;

/** The mapping that holds an external port, whichever names share it; a range holds each of its ports. */
export function mappingAt(state: State, wan: string, protocol: Transport, port: number): Mapping | undefined {
  return mappingNamed(state, { wan, protocol, name: null }, port);
}

/** The mapping of one name of an external port; of name null the one that holds it. */
export function mappingNamed(
  state: State,
  { wan, protocol, name }: Pick<Mapping, "wan" | "protocol" | "name">,
  port: number,
): Mapping | undefined {
  const id = tableGet(state.byExternal, externalKey(wan, protocol, port, name));
  return id === undefined ? undefined : tableGet(state.mappings, id);
}

/** The mappings that share an external port by name, oldest first; who holds it is not one of them. */
export function mappingsSharing(state: State, wan: string, protocol: Transport, port: number): Mapping[] {
  return rowsOf(state, tableGet(state.shared, externalKey(wan, protocol, port)));
}

/** The mappings that lead to an internal port, oldest first. */
export function mappingsTo(state: State, address: string, protocol: Transport, port: number): Mapping[] {
  return rowsOf(state, tableGet(state.byInternal, internalKey(address, protocol, port)));
}

const rowsOf = (state: State, ids: readonly string[] = []): Mapping[] =>
  ids.flatMap((id) => tableGet(state.mappings, id) ?? []);

/** Ids of mappings, oldest first, and one more; mostly the youngest, but an edited or restored one keeps its age. */
export function byAge(draft: State, ids: readonly string[], mapping: Pick<Mapping, "id" | "createdSeq">): string[] {
  const isYounger = (id: string | undefined): boolean =>
    id !== undefined && (tableGet(draft.mappings, id)?.createdSeq ?? 0) > mapping.createdSeq;
  if (!isYounger(ids.at(-1))) return [...ids, mapping.id];
  return ids.toSpliced(ids.findIndex(isYounger), 0, mapping.id);
}

/** All indexes follow each change of a mapping: add what it holds. */
export function indexPorts(draft: State, mapping: Ported): void {
  const { id, wan, protocol, name } = mapping;
  for (let offset = 0; offset < mapping.count; offset += 1) {
    const port = mapping.externalPort + offset;
    tableSet(draft.byExternal, externalKey(wan, protocol, port, name), id);
    if (name !== null) addId(draft, draft.shared, externalKey(wan, protocol, port), mapping);
    addId(
      draft,
      draft.byInternal,
      internalKey(mapping.internalAddress, protocol, mapping.internalPort + offset),
      mapping,
    );
  }
}

/** Remove what it held. */
export function unindexPorts(draft: State, mapping: Ported): void {
  const { id, wan, protocol, name } = mapping;
  for (let offset = 0; offset < mapping.count; offset += 1) {
    const port = mapping.externalPort + offset;
    tableDelete(draft.byExternal, externalKey(wan, protocol, port, name));
    if (name !== null) dropId(draft.shared, externalKey(wan, protocol, port), id);
    dropId(draft.byInternal, internalKey(mapping.internalAddress, protocol, mapping.internalPort + offset), id);
  }
}

function addId(draft: State, table: Table<string[]>, key: string, mapping: Ported): void {
  tableSet(table, key, byAge(draft, tableGet(table, key) ?? [], mapping));
}

function dropId(table: Table<string[]>, key: string, id: string): void {
  const ids = (tableGet(table, key) ?? []).filter((other) => other !== id);
  if (ids.length === 0) tableDelete(table, key);
  else tableSet(table, key, ids);
}
