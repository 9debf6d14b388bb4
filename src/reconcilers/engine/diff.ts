import type { Change, Desired, DesiredTable, Plan } from "../contract.ts";

export type Matches<Spec, Obs> = (spec: Spec, observed: Obs) => boolean;

/** What it takes to get one row from what is there to what should be; null if nothing. */
function diffRow<Spec, Obs>(
  key: string,
  desired: Desired<Spec> | undefined,
  observed: Obs | undefined,
  matches: Matches<Spec, Obs>,
): Change<Spec, Obs> | null {
  if (desired === undefined) return observed === undefined ? null : { op: "delete", key, observed };
  if (observed === undefined) return { op: "create", key, desired };
  return matches(desired.spec, observed) ? null : { op: "update", key, desired, observed };
}

/** Everything against everything. */
export function diffAll<Spec, Obs>(
  desired: DesiredTable<Spec>,
  observed: ReadonlyMap<string, Obs>,
  matches: Matches<Spec, Obs>,
): Change<Spec, Obs>[] {
  const changes: Change<Spec, Obs>[] = [];
  for (const row of desired.rows()) {
    const change = diffRow(row.key, row, observed.get(row.key), matches);
    if (change !== null) changes.push(change);
  }
  for (const [key, found] of observed) {
    if (desired.get(key) === undefined) changes.push({ op: "delete", key, observed: found });
  }
  return changes;
}

/** Only `keys`: enough when everything else was compared before and neither side moved since. */
export function diffKeys<Spec, Obs>(
  keys: Iterable<string>,
  desired: DesiredTable<Spec>,
  observed: ReadonlyMap<string, Obs>,
  matches: Matches<Spec, Obs>,
): Change<Spec, Obs>[] {
  const changes: Change<Spec, Obs>[] = [];
  for (const key of keys) {
    const change = diffRow(key, desired.get(key), observed.get(key), matches);
    if (change !== null) changes.push(change);
  }
  return changes;
}

/** Deletes first, to make room for what takes their place, then by key (code units: the same on every machine). */
export function sortPlan<Spec, Obs>(changes: readonly Change<Spec, Obs>[]): Plan<Spec, Obs> {
  return [...changes].sort((a, b) => {
    const rank = Number(a.op !== "delete") - Number(b.op !== "delete");
    if (rank !== 0) return rank;
    return a.key < b.key ? -1 : Number(a.key > b.key);
  });
}
