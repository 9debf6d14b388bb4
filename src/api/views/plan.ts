import type { PortreeveEvent } from "../../events/index.ts";
import { canonicalJson } from "../../lib/canonical-json.ts";
import { erasedBy, objectsOf } from "../../reducers/objects/index.ts";
import type { DesiredTable } from "../../reducers/select/desired.ts";
import type { State } from "../../reducers/state.ts";
import type { DesiredSource } from "../deps.ts";
import type { ObjectChange, PlanDocument, RowChange } from "../schemas/plan.ts";

/** What a decision would change: its events, what a person would see of it, and the rows that reconcilers would then converge. Pure. */
export function planView(
  before: State,
  after: State,
  events: readonly PortreeveEvent[],
  sources: readonly DesiredSource[],
): PlanDocument {
  const changes = sources.flatMap(({ reconciler, select }) => rowChanges(reconciler, select(before), select(after)));
  const because = whyForEver(before, events);
  return {
    dryRun: true,
    seq: before.seq,
    events: events.map(({ type, v, data }) => ({ type, v, data })),
    objects: objectChanges(before, after, events),
    changes,
    checks: [],
    undoable: because === null,
    because,
  };
}

function whyForEver(before: State, events: readonly PortreeveEvent[]): string | null {
  if (events.length === 0) return "there is nothing to undo";
  const erased = erasedBy(events, before);
  if (erased !== null) return erased;
  return objectsOf(events).size > 0 ? null : "what it does is not a matter of undoing";
}

function objectChanges(before: State, after: State, events: readonly PortreeveEvent[]): ObjectChange[] {
  const changes: ObjectChange[] = [];
  for (const { kind, key } of objectsOf(events).values()) {
    const [old, now] = [kind.describe(before, key), kind.describe(after, key)];
    const name = (now ?? old)?.name;
    if (name === undefined) continue;
    const op = old === null ? "add" : now === null ? "remove" : "change";
    const renamed = old !== null && now !== null && old.name !== now.name;
    const fields = new Set([...Object.keys(old?.says ?? {}), ...Object.keys(now?.says ?? {})]);
    const said = [...fields].map((field) => ({
      field,
      before: old?.says[field] ?? null,
      after: now?.says[field] ?? null,
    }));
    changes.push({
      op,
      kind: kind.name,
      id: key,
      name: renamed ? old.name : name,
      fields: [
        ...(renamed ? [{ field: "name", before: old.name, after: now.name }] : []),
        ...said.filter((each) => each.before !== each.after),
      ],
    });
  }
  return changes;
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
