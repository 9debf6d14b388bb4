import type { Seq } from "../../events/envelope.ts";
import { assert } from "../../lib/assert.ts";
import type { Clock } from "../../lib/clock.ts";
import type {
  Change,
  Desired,
  DesiredTable,
  Outcome,
  Plan,
  ReconcilerDefinition,
  RowRefusal,
  Target,
} from "../contract.ts";
import { sameDesired } from "../same-row.ts";
import { diffAll, diffKeys, sortPlan } from "./diff.ts";
import { Observation } from "./observation.ts";
import { type Restrained, restrain } from "./policy.ts";
import { backoffMs } from "./retry.ts";
import type { StatusBook, Subject } from "./status.ts";

/** How one pass is to be done. */
export interface PassOrder<S> {
  /** Look at the target afresh whatever it says of itself, and try also the rows that are in backoff. */
  readonly thorough: boolean;
  /** Taken after the observation, so that a slow look does not age it. */
  readonly state: () => S;
  readonly paused: (state: S) => boolean;
  readonly initialized: boolean;
  readonly brakeReleased: boolean;
  readonly signal: AbortSignal;
}

export interface PassResult {
  readonly through: Seq;
  readonly observedFresh: boolean;
  readonly created: number;
  readonly updated: number;
  readonly deleted: number;
  readonly failed: number;
  readonly heldBack: number;
  readonly heldBy: "gate" | "brake" | null;
  /** Rows that others changed, added or removed. */
  readonly drifted: number;
  /** In the target, as it is known after the pass. */
  readonly rows: number;
  /** False while paused and under `observe-only`. */
  readonly applies: boolean;
  /** Every row was tried: false when something had to be changed and this pass was not to apply anything. */
  readonly settles: boolean;
}

/** Keys whose rows may differ; null: any. */
type Keys = readonly string[] | null;

/** What one comparison found, before anything of it is applied or remembered. */
interface Comparison<S, Spec, Obs> {
  readonly state: S;
  readonly desired: DesiredTable<Spec>;
  readonly changes: readonly Change<Spec, Obs>[];
  /** The keys compared; null: all. */
  readonly examined: ReadonlySet<string> | null;
  /** Deletes of rows that this process saw desired. */
  readonly leaving: ReadonlySet<string>;
  readonly restrained: Restrained<Spec, Obs>;
  readonly applies: boolean;
}

/**
 * One pass after another over one target: observe, diff, restrain, apply, account. Holds what must be remembered
 * between passes; the engine sees to it that there is never more than one at a time.
 */
export class Passes<S extends { readonly seq: Seq }, Spec, Obs> {
  readonly observation: Observation<Spec, Obs>;
  readonly #definition: ReconcilerDefinition<S, Spec, Obs>;
  readonly #target: Target<Spec, Obs>;
  readonly #statuses: StatusBook;
  readonly #clock: Clock;
  readonly #random: () => number;
  /** The table the last pass worked with: what this process saw desired. */
  #desired: DesiredTable<Spec> | null = null;
  /** Keys that the last comparison left different: failing, in backoff, held back, not to be applied. */
  readonly #open = new Set<string>();
  /** Open deletes of rows this process saw desired: the event that ended them explains the deletion. */
  readonly #leaving = new Set<string>();
  #brakeEngaged = false;
  /** What was found of the table that was asked about last: a state that is not taken over is compared next. */
  #changed: { readonly desired: DesiredTable<Spec>; readonly since: DesiredTable<Spec>; readonly keys: Keys } | null =
    null;

  constructor(
    definition: ReconcilerDefinition<S, Spec, Obs>,
    target: Target<Spec, Obs>,
    statuses: StatusBook,
    deps: { readonly clock: Clock; readonly random: () => number },
  ) {
    this.#definition = definition;
    this.#target = target;
    this.#statuses = statuses;
    this.#clock = deps.clock;
    this.#random = deps.random;
    this.observation = new Observation(target);
  }

  /** What this state wants counts as seen: a row it wants and a later one does not is explained by an event. */
  begin(state: S): void {
    this.#desired = this.#definition.select(state);
  }

  /** Takes over a state that wants no row other than the last one did: that is no reason to look at the target. */
  takeOver(state: S): boolean {
    if (this.#open.size > 0 || !this.observation.compared || !this.observation.stands) return false;
    const desired = this.#definition.select(state);
    const changed = this.#changedIn(desired);
    if (changed === null) return false;
    if (changed.length > 0) return false;
    this.#desired = desired;
    this.#changed = null;
    return true;
  }

  /** Whether this state tells which rows it changed, instead of that any may be another. */
  knowsChanges(state: S): boolean {
    return this.#changedIn(this.#definition.select(state)) !== null;
  }

  /** Rejects when the target could not be read or written at all; then nothing is known and all is compared next time. */
  async run(order: PassOrder<S>): Promise<PassResult> {
    const observedFresh = await this.#observe(order);
    const comparison = this.#compare(order, false);
    const drifted = this.#countDrift(comparison);
    const now = this.#clock.now();
    const plan = sortPlan(
      order.thorough
        ? comparison.restrained.allowed
        : comparison.restrained.allowed.filter(
            (change) => !this.#statuses.inBackoff(change.key, subjectOf(change), now),
          ),
    );
    this.#account(comparison, now);
    const tally = await this.#apply(plan, order.signal);
    this.#brakeEngaged = comparison.restrained.heldBy === "brake";
    return {
      through: comparison.state.seq,
      observedFresh,
      ...tally,
      heldBack: comparison.restrained.heldBack.length,
      heldBy: comparison.restrained.heldBy,
      drifted,
      rows: this.observation.rows.size,
      applies: comparison.applies,
      settles: comparison.applies || comparison.changes.length === 0,
    };
  }

  /** What `run` would apply if nothing were paused or in backoff. Changes nothing, in the target or here. */
  async plan(order: PassOrder<S>): Promise<Plan<Spec, Obs>> {
    await this.#observe(order);
    return sortPlan(this.#compare(order, true).restrained.allowed);
  }

  /** What the target would refuse of these rows, which need not be those of the last pass. */
  async rehearse(order: PassOrder<S>, desired: DesiredTable<Spec>): Promise<readonly RowRefusal[] | undefined> {
    if (this.#target.rehearse === undefined) return undefined;
    await this.#observe(order);
    const plan = sortPlan(this.#compare(order, true, desired).restrained.allowed);
    const outcomes = plan.length === 0 ? [] : await this.#target.rehearse(plan, order.signal);
    return outcomes.filter((outcome) => !outcome.ok);
  }

  async #observe(order: PassOrder<S>): Promise<boolean> {
    const { observation } = this;
    const due = this.#clock.now() >= observation.observedAt + this.#definition.refreshMs;
    if (!order.thorough && !due && observation.trusted) return false;
    await observation.refresh(order.signal, () => this.#clock.now());
    return true;
  }

  #compare(order: PassOrder<S>, ignorePause: boolean, rows?: DesiredTable<Spec>): Comparison<S, Spec, Obs> {
    const { matches, select, deleteFractionMax, explained, policy } = this.#definition;
    const state = order.state();
    const desired = rows ?? select(state);
    const observed = this.observation.rows;
    const examined = this.#keysToExamine(desired);
    const changes =
      examined === null ? diffAll(desired, observed, matches) : diffKeys(examined, desired, observed, matches);
    const paused = !ignorePause && order.paused(state);
    const leaving = new Set<string>();
    for (const { op, key } of changes) if (op === "delete" && this.#sawDesired(key)) leaving.add(key);
    const restrained = restrain(changes, {
      policy: paused ? "observe-only" : policy,
      initialized: order.initialized,
      explained: (key) => leaving.has(key) || explained?.(state, key) === true,
      owned: observed.size,
      deleteFractionMax,
      engaged: this.#brakeEngaged,
      released: order.brakeReleased,
    });
    return { state, desired, changes, examined, leaving, restrained, applies: !paused && policy !== "observe-only" };
  }

  /** Null: all. Otherwise every other key is known to match still, since neither side of it has moved. */
  #keysToExamine(desired: DesiredTable<Spec>): ReadonlySet<string> | null {
    const changed = this.observation.compared ? this.#changedIn(desired) : null;
    if (changed === null) return null;
    const keys = new Set(this.#open);
    for (const key of changed) keys.add(key);
    return keys;
  }

  /** Keys that the last pass may have known otherwise; null: any. */
  #changedIn(desired: DesiredTable<Spec>): Keys {
    if (desired === this.#desired) return [];
    const since = this.#desired;
    if (since === null) return null;
    if (this.#changed?.desired !== desired || this.#changed.since !== since) {
      const keys = desired.changedSince(since);
      this.#changed = { desired, since, keys: keys === null ? null : [...keys] };
    }
    return this.#changed.keys;
  }

  #sawDesired(key: string): boolean {
    return this.#leaving.has(key) || this.#desired?.get(key) !== undefined;
  }

  /** A row that was right and is not, or one that nobody here made: someone else was at the target. */
  #countDrift({ changes, examined }: Comparison<S, Spec, Obs>): number {
    if (examined !== null) return 0;
    let drifted = 0;
    for (const change of changes) {
      const foreign = change.op === "delete" ? this.observation.appeared(change.key) : this.#wasRight(change.desired);
      if (foreign) drifted += 1;
    }
    return drifted;
  }

  /** It was wanted like this before, and was so. */
  #wasRight(row: Desired<Spec>): boolean {
    return this.#statuses.isDone(row) && sameDesired(this.#desired?.get(row.key), row);
  }

  /** Remembers what was found. Rows that differ stay open until an outcome says that they no longer do. */
  #account(comparison: Comparison<S, Spec, Obs>, now: number): void {
    const { desired, changes, examined, leaving, restrained } = comparison;
    const differing = new Set(changes.map((change) => change.key));
    if (examined === null) {
      this.#open.clear();
      this.#leaving.clear();
      for (const row of desired.rows()) if (!differing.has(row.key)) this.#statuses.done(row, now);
      this.#statuses.forgetExcept((key) => differing.has(key) || desired.get(key) !== undefined);
    } else {
      for (const key of examined) {
        this.#open.delete(key);
        this.#leaving.delete(key);
        if (differing.has(key)) continue;
        const row = desired.get(key);
        if (row === undefined) this.#statuses.forget(key);
        else this.#statuses.done(row, now);
      }
    }
    for (const key of leaving) this.#leaving.add(key);
    const heldBack = new Set(restrained.heldBack.map((change) => change.key));
    for (const change of changes) {
      this.#open.add(change.key);
      if (heldBack.has(change.key)) this.#statuses.forget(change.key);
      else if (this.#statuses.fails(change.key, subjectOf(change))) continue;
      else if (change.op === "delete") this.#statuses.forget(change.key);
      else this.#statuses.pending(change.desired, now);
    }
    this.#desired = desired;
    this.#changed = null;
    this.observation.markCompared();
  }

  async #apply(
    plan: Plan<Spec, Obs>,
    signal: AbortSignal,
  ): Promise<{ created: number; updated: number; deleted: number; failed: number }> {
    const tally = { created: 0, updated: 0, deleted: 0, failed: 0 };
    if (plan.length === 0) return tally;
    let outcomes: readonly Outcome[];
    try {
      outcomes = await this.#target.apply(plan, signal);
    } catch (error) {
      this.observation.distrust();
      throw error;
    }
    const byKey = new Map(outcomes.map((outcome) => [outcome.key, outcome]));
    const now = this.#clock.now();
    for (const change of plan) {
      const outcome = byKey.get(change.key);
      assert(outcome !== undefined, `target ${this.#target.name} gave no outcome for ${change.key}`);
      if (!outcome.ok) {
        tally.failed += 1;
        this.#fail(change, outcome.error, now);
        continue;
      }
      tally[change.op === "create" ? "created" : change.op === "update" ? "updated" : "deleted"] += 1;
      this.observation.advance(change);
      this.#open.delete(change.key);
      this.#leaving.delete(change.key);
      if (change.op === "delete") this.#statuses.forget(change.key);
      else this.#statuses.done(change.desired, now);
    }
    return tally;
  }

  #fail(change: Change<Spec, Obs>, error: Extract<Outcome, { ok: false }>["error"], now: number): void {
    const subject = subjectOf(change);
    const attempts = this.#statuses.attempts(change.key, subject) + 1;
    const retryAt =
      error.disposition === "transient" ? now + backoffMs(attempts, this.#definition.retry, this.#random) : null;
    this.#statuses.failed(change.key, subject, error, retryAt, now);
  }
}

function subjectOf(change: Change<unknown, unknown>): Subject {
  return change.op === "delete" ? "deletion" : change.desired;
}
