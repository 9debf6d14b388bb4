import type { Change, Policy } from "../contract.ts";

/** Below this many rows the delete brake never holds: a share of a handful says nothing. */
const BRAKE_ROWS_MIN = 10;

export interface Restraints {
  readonly policy: Policy;
  /** False until every source of desired rows has been seen once. */
  readonly initialized: boolean;
  /** An event says why this row is no longer wanted. */
  readonly explained: (key: string) => boolean;
  /** Rows in the target that are ours. */
  readonly owned: number;
  readonly deleteFractionMax: number;
  /** The brake held in the pass before. */
  readonly engaged: boolean;
  /** An operator let the held-back deletes through. */
  readonly released: boolean;
}

export interface Restrained<Spec, Obs> {
  readonly allowed: Change<Spec, Obs>[];
  /** Deletes that wait: for initialization ("gate") or for an operator ("brake"). */
  readonly heldBack: Change<Spec, Obs>[];
  readonly heldBy: "gate" | "brake" | null;
}

/**
 * The last filter on a diff. Gate and brake hold back only deletes that no event explains (an empty source, a bad
 * upcaster, new code): what was released, expired, removed or re-keyed always goes.
 */
export function restrain<Spec, Obs>(
  changes: readonly Change<Spec, Obs>[],
  restraints: Restraints,
): Restrained<Spec, Obs> {
  const { policy, initialized, explained, owned, deleteFractionMax, engaged, released } = restraints;
  const allowed: Change<Spec, Obs>[] = [];
  const unexplained: Change<Spec, Obs>[] = [];
  for (const change of changes) {
    if (change.op !== "delete") allowed.push(change);
    else if (policy === "upsert-only") continue;
    else if (explained(change.key)) allowed.push(change);
    else unexplained.push(change);
  }
  // Once it holds it holds until the reason is gone: a table that only grew beside the suspects proves nothing.
  const tooMany = unexplained.length > BRAKE_ROWS_MIN && (engaged || unexplained.length > deleteFractionMax * owned);
  const heldBy = unexplained.length === 0 ? null : !initialized ? "gate" : tooMany && !released ? "brake" : null;
  if (heldBy === null) allowed.push(...unexplained);
  return {
    allowed: policy === "observe-only" ? [] : allowed,
    heldBack: heldBy === null ? [] : unexplained,
    heldBy,
  };
}
