import { branchTable, forkTable, isFork, sealTable, type Table, tableGet, tableSet } from "../lib/table.ts";
import type { State } from "./state.ts";

/** What of the state is a table. */
export const TABLES = [
  "mappings",
  "byExternal",
  "shared",
  "byInternal",
  "usages",
  "devices",
  "deviceAt",
  "deviceNamed",
  "deviceKeyed",
  "names",
  "recordNames",
  "namesAt",
  "namesOf",
  "published",
  "delegations",
  "quarantine",
  "severed",
] as const;

/**
 * A state to fold into beside one that stays as it is. Its tables are forks; of everything else the parts are shared, so
 * that a handler must replace them and not change them.
 */
export function forkState(state: State): State {
  const fork = { ...state };
  // Each table has rows of its own type; a fork keeps it.
  for (const name of TABLES) fork[name] = forkTable(state[name] as Table<never>) as never;
  return fork;
}

/** A state to try something out on, of one that may itself be a fork that a commit is being made of. */
export function branchState(state: State): State {
  const branch = { ...state };
  for (const name of TABLES) branch[name] = branchTable(state[name] as Table<never>) as never;
  return branch;
}

/** Ends the writing. A table that nothing was written to is the one it was forked from: who reads it alone sees no change. */
export function sealState(state: State): State {
  if (Object.isFrozen(state)) return state;
  for (const name of TABLES) state[name] = sealTable(state[name] as Table<never>) as never;
  return Object.freeze(state);
}

/**
 * Changes a row, if it is there: in place if it is this table's own, as in a replay, or else a copy of it. The copy is
 * flat: a recipe assigns fields and never changes what is inside one.
 */
export function editRow<Row extends object>(table: Table<Row>, key: string, recipe: (row: Row) => void): boolean {
  const row = tableGet(table, key);
  if (row === undefined) return false;
  const forked = isFork(table);
  const edited = forked ? { ...row } : row;
  recipe(edited);
  if (forked) tableSet(table, key, edited);
  return true;
}

/** The same record with one key fewer. */
export function without<Value>(record: Readonly<Record<string, Value>>, key: string): Record<string, Value> {
  const { [key]: _gone, ...rest } = record;
  return rest;
}
