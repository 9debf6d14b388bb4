import type { PortreeveEvent } from "../../events/index.ts";
import { canonicalJson } from "../../lib/canonical-json.ts";
import type { DesiredTable } from "../../reducers/select/desired.ts";
import type { State } from "../../reducers/state.ts";
import type { DesiredSource } from "../deps.ts";
import type { PlanDocument, RowChange } from "../schemas/plan.ts";

/** What a decision would change: its events, and the rows that reconcilers would then converge. Pure. */
export function planView(
  before: State,
  after: State,
  events: readonly PortreeveEvent[],
  sources: readonly DesiredSource[],
): PlanDocument {
  const changes = sources.flatMap(({ reconciler, select }) => rowChanges(reconciler, select(before), select(after)));
  return {
    dryRun: true,
    seq: before.seq,
    events: events.map(({ type, v, data }) => ({ type, v, data })),
    changes,
  };
}

function rowChanges(reconciler: string, before: DesiredTable<unknown>, after: DesiredTable<unknown>): RowChange[] {
  const changes: RowChange[] = [];
  for (const key of [...new Set(after.changedSince(before) ?? allKeys(before, after))].sort()) {
    const [old, now] = [before.get(key), after.get(key)];
    const owners = [...(now ?? old ?? { owners: [] }).owners];
    const row = { reconciler, key, owners, before: old?.spec ?? null, after: now?.spec ?? null };
    if (old === undefined && now !== undefined) changes.push({ ...row, op: "create" });
    else if (old !== undefined && now === undefined) changes.push({ ...row, op: "delete" });
    else if (canonicalJson(row.before) !== canonicalJson(row.after)) changes.push({ ...row, op: "update" });
  }
  return changes;
}

function* allKeys(...tables: readonly DesiredTable<unknown>[]): Iterable<string> {
  for (const table of tables) for (const row of table.rows()) yield row.key;
}
