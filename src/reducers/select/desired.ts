import type { Seq } from "../../events/envelope.ts";

/** One row of a desired table. */
export interface Desired<Spec> {
  readonly key: string;
  readonly spec: Spec;
  /** Everyone who wants it, sorted, unique. The row exists exactly while this is not empty. */
  readonly owners: readonly string[];
  /** The last event that changed `spec`. */
  readonly revision: Seq;
}

/** What should be, from a pure and memoised selector. Immutable; the next one shares what did not change. */
export interface DesiredTable<Spec> {
  get(key: string): Desired<Spec> | undefined;
  rows(): Iterable<Desired<Spec>>;
  /** Keys whose row may differ from the one in `previous` (a superset is allowed), or null: compare everything. */
  changedSince(previous: DesiredTable<Spec>): Iterable<string> | null;
}

/** A selector that gives the same table object for the same state, and builds the next one beside the last. */
export function remembering<State, Table>(build: (state: State) => Table): (state: State) => Table {
  let last: { readonly state: State; readonly table: Table } | null = null;
  return (state) => {
    if (last?.state !== state) last = { state, table: build(state) };
    return last.table;
  };
}
