import type { Metrics } from "../../lib/metrics.ts";
import type { PassReport } from "../contract.ts";

export interface PassFigures {
  readonly report: PassReport;
  readonly rows: number;
  readonly errorsCurrent: number;
}

/** From 1 ms, a pass over one row, to 10 s, a first look at a full table on a slow machine. */
const DURATION_BUCKETS_SEC = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Records passes of the reconciler called `target`. */
export function createPassMetrics(metrics: Metrics, target: string): (figures: PassFigures) => void {
  const passes = metrics.counter("portreeve_reconcile_total", "Passes, by how they ended: ok, partial, error", [
    "target",
    "result",
  ]);
  const duration = metrics.histogram(
    "portreeve_reconcile_duration_seconds",
    "How long a pass took",
    ["target"],
    DURATION_BUCKETS_SEC,
  );
  const drift = metrics.counter("portreeve_drift_total", "Passes that found the target changed by someone else", [
    "target",
    "by",
  ]);
  const changes = metrics.counter("portreeve_reconcile_changes_total", "Rows changed in the target", ["target", "op"]);
  const rows = metrics.gauge("portreeve_reconcile_rows", "Rows of ours in the target", ["target"]);
  const errors = metrics.gauge("portreeve_reconcile_errors", "Rows in error now", ["target"]);
  const heldBack = metrics.gauge("portreeve_reconcile_held_back", "Deletes held back by gate or brake now", ["target"]);

  return ({ report, rows: held, errorsCurrent }) => {
    passes.inc({ target, result: report.error !== null ? "error" : report.failed > 0 ? "partial" : "ok" });
    duration.observe({ target }, report.durationMs / 1000);
    if (report.created > 0) changes.inc({ target, op: "create" }, report.created);
    if (report.updated > 0) changes.inc({ target, op: "update" }, report.updated);
    if (report.deleted > 0) changes.inc({ target, op: "delete" }, report.deleted);
    if (report.driftBy !== null) drift.inc({ target, by: programOf(report.driftBy) });
    errors.set({ target }, errorsCurrent);
    if (report.error !== null) return;
    rows.set({ target }, held);
    heldBack.set({ target }, report.heldBack);
  };
}

/** "nft (4711)" is counted as "nft": a label with process ids would grow without bound. */
function programOf(author: string): string {
  return author.replace(/ \(\d+\)/g, "");
}
