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
  return rememberingBy((state) => [state], build);
}

/** As `remembering`, where all that is built depends on is `inputs`: it is the same for states that have the same. */
export function rememberingBy<State, Built>(
  inputs: (state: State) => readonly unknown[],
  build: (state: State) => Built,
): (state: State) => Built {
  let last: { readonly inputs: readonly unknown[]; readonly built: Built } | null = null;
  return (state) => {
    const now = inputs(state);
    if (last === null || now.some((each, index) => each !== last?.inputs[index])) {
      last = { inputs: now, built: build(state) };
    }
    return last.built;
  };
}
