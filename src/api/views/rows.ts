import type { Desired } from "../../reducers/select/desired.ts";
import type { Mapping, State } from "../../reducers/state.ts";
import type { Reconciler, RowStatus } from "../../reconcilers/contract.ts";
import type { DesiredSource } from "../deps.ts";

/** One row of a reconciler that a port stands behind. */
export interface PortRow {
  readonly reconciler: string;
  readonly key: string;
  /** Undefined: not wanted any more, and its deletion failing. */
  readonly desired: Desired<unknown> | undefined;
  readonly status: RowStatus | undefined;
}

/** The rows whose owners include a mapping, and those it left behind that cannot be deleted. */
export function rowsReader(
  state: State,
  sources: readonly DesiredSource[],
  reconcilers: readonly Reconciler[],
): (mapping: Mapping) => PortRow[] {
  const tables = sources.map((source) => ({
    source,
    table: source.select(state),
    reconciler: reconcilers.find((each) => each.name === source.reconciler),
  }));
  return (mapping) => {
    const rows: PortRow[] = [];
    for (const { source, table, reconciler } of tables) {
      for (const key of source.keysOf(state, mapping)) {
        const desired = table.get(key);
        const status = reconciler?.status(key);
        const owned = desired === undefined ? status?.kind === "error" : desired.owners.includes(mapping.id);
        if (owned) rows.push({ reconciler: source.reconciler, key, desired, status });
      }
    }
    return rows;
  };
}

export type RowSync = "done" | "pending" | "error";

/** A status of an older revision says nothing about this one. */
export function rowSync({ desired, status }: PortRow): RowSync {
  if (status === undefined) return "pending";
  if (desired !== undefined && status.revision < desired.revision) return "pending";
  return status.kind;
}

/** For a person: what the target said, and what happens next. */
export function rowError({ reconciler, status }: PortRow, now: number): string | null {
  const error = status?.error ?? null;
  if (status === undefined || error === null) return null;
  const next =
    status.retryAt === null
      ? "waits for a change"
      : `tried ${status.attempts} times, again in ${Math.max(0, Math.ceil((status.retryAt - now) / 1000))} s`;
  return `${reconciler} could not apply it: ${error.message} (${error.code}); ${next}`;
}
