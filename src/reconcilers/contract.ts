import type { Seq } from "../events/envelope.ts";
import type { Disposition } from "../lib/errors.ts";
import type { Desired, DesiredTable } from "../reducers/select/desired.ts";

export type { Desired, DesiredTable } from "../reducers/select/desired.ts";

export type Change<Spec, Obs> =
  | { readonly op: "create"; readonly key: string; readonly desired: Desired<Spec> }
  | { readonly op: "update"; readonly key: string; readonly desired: Desired<Spec>; readonly observed: Obs }
  | { readonly op: "delete"; readonly key: string; readonly observed: Obs };

/** Deletes first, then by key: the same inputs print the same plan. */
export type Plan<Spec, Obs> = readonly Change<Spec, Obs>[];

/** `sync`: create, update, delete. `upsert-only`: never delete. `observe-only`: plan and report, apply nothing. */
export type Policy = "sync" | "upsert-only" | "observe-only";

export interface ReconcileError {
  /** Stable; one of ERROR_CODES or the target's own upper-case code (EEXIST, EPERM…). */
  readonly code: string;
  readonly message: string;
  /** Only `transient` is retried by itself; `terminal` waits for the row to change. */
  readonly disposition: Extract<Disposition, "transient" | "terminal">;
}

export type Outcome = { readonly key: string } & (
  | { readonly ok: true }
  | { readonly ok: false; readonly error: ReconcileError }
);

/** A row that a target will not have. */
export type RowRefusal = Extract<Outcome, { ok: false }>;

/** All that a target must provide. Queueing, retries, refresh, prune gate, brake, status and metrics are the engine's. */
export interface Target<Spec, Obs> {
  readonly name: string;
  /** Everything in the target that bears our mark, by row key, and nothing else. Rejects when it cannot tell. */
  observe(signal: AbortSignal): Promise<ReadonlyMap<string, Obs>>;
  /**
   * Idempotent: safe to repeat after dying at any point inside an earlier call; deleting what is absent succeeds.
   * One outcome for each change; a refused row fails alone. Rejects only if nothing can be said of any row.
   */
  apply(plan: Plan<Spec, Obs>, signal: AbortSignal): Promise<readonly Outcome[]>;
  /** What `apply` would answer, with nothing done. Absent where the target cannot tell without doing it. */
  rehearse?(plan: Plan<Spec, Obs>, signal: AbortSignal): Promise<readonly Outcome[]>;
  /** What `observe` would report for a row after it was applied. With `unchanged` it lets the engine keep an observation. */
  expected?(spec: Spec): Obs;
  /** True while nothing but our own successful applies can have changed the target since the last `observe`. */
  unchanged?(): boolean;
  /** Calls back with the author when the target changed behind our back. A hint: it only wakes a pass. */
  watch?(onDrift: (by: string) => void): { close(): void };
}

/** A concrete reconciler: which rows, compared how, with which knobs. */
export interface ReconcilerDefinition<S, Spec, Obs> {
  readonly name: string;
  readonly select: (state: S) => DesiredTable<Spec>;
  /** Pure. Compares only the fields we manage. */
  readonly matches: (spec: Spec, observed: Obs) => boolean;
  readonly policy: Policy;
  /** A full observe and compare at least this often, whatever the target says of itself. */
  readonly refreshMs: number;
  readonly retry: { readonly minMs: number; readonly maxMs: number; readonly jitter: number };
  /**
   * For rows that no answer waits for: so long a changed state waits for others, and one pass serves them all. A state
   * that cannot tell which rows it changed (settings did) does not wait.
   */
  readonly lagMs?: number;
  /** A pass that would delete, unexplained by an event, more than this share of what we own (and over 10 rows) is held back and reported. */
  readonly deleteFractionMax: number;
  /** True for a key whose deletion an event explains although this process never saw the row desired (released before a restart). */
  readonly explained?: (state: S, key: string) => boolean;
}

export type StatusKind = "pending" | "done" | "error";

/** Of one row, in memory only; rebuilt by the first pass after a start. */
export interface RowStatus {
  readonly kind: StatusKind;
  /** Which revision of the row this speaks about; stale if it is less than the row's. */
  readonly revision: Seq;
  /** Failed tries since the row last changed or succeeded. */
  readonly attempts: number;
  readonly retryAt: number | null;
  readonly error: ReconcileError | null;
  /** Gateway time at which `kind` became what it is. */
  readonly since: number;
}

/** One pass, for `reconciler show` and the metrics; the last 500 are kept. */
export interface PassReport {
  readonly id: number;
  readonly at: number;
  readonly reasons: readonly string[];
  readonly through: Seq;
  readonly observedFresh: boolean;
  readonly created: number;
  readonly updated: number;
  readonly deleted: number;
  readonly failed: number;
  readonly heldBack: number;
  /** Who changed the target, when this pass repaired drift. */
  readonly driftBy: string | null;
  readonly durationMs: number;
  readonly error: string | null;
}

export interface Health {
  readonly level: "ok" | "degraded" | "paused" | "stopped";
  readonly message: string;
  /** Gateway time of the last pass without an error; null before the first. */
  readonly lastSuccessAt: number | null;
  /** Gateway time since which passes have been failing; null while they succeed. */
  readonly failingSince: number | null;
  readonly errorsCurrent: number;
  readonly heldBack: number;
}

export interface Settlement {
  /** Every row up to this seq was tried at least once. */
  readonly through: Seq;
  /** Keys of rows that are in error now, with the error. */
  readonly failed: ReadonlyMap<string, ReconcileError>;
}

/** A reconciler that can ask its target about rows nobody wants yet. */
export interface Rehearsing<S, Spec> {
  /** The rows of `desired` that the target would refuse; undefined if it cannot tell without doing it. */
  rehearse(state: S, desired: DesiredTable<Spec>): Promise<readonly RowRefusal[] | undefined>;
}

/** What the rest of the program sees of a running reconciler. */
export interface Reconciler {
  readonly name: string;
  /** The row's status; undefined for a key that is neither desired nor failing. */
  status(key: string): RowStatus | undefined;
  /** Resolves when every row up to `seq` has been tried once. Rejects when the signal aborts. */
  settled(seq: Seq, signal: AbortSignal): Promise<Settlement>;
  /** A full pass now: observe, diff, apply. Resolves with its report. */
  run(reason: string): Promise<PassReport>;
  /** What a pass would change now, without doing it; with `brakeReleased` also the deletes that are held back. */
  plan(
    brakeReleased?: boolean,
  ): Promise<readonly { readonly op: string; readonly key: string; readonly owners: readonly string[] }[]>;
  /** Lets the held-back deletes of the next pass through. */
  releaseBrake(): void;
  readonly passes: readonly PassReport[];
  readonly health: Health;
}
