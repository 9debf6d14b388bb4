import type { Seq } from "../../events/envelope.ts";
import { AssertionError, assert } from "../../lib/assert.ts";
import type { Clock } from "../../lib/clock.ts";
import { PortreeveError } from "../../lib/errors.ts";
import type { Metrics } from "../../lib/metrics.ts";
import type {
  DesiredTable,
  Health,
  PassReport,
  Reconciler,
  ReconcilerDefinition,
  Rehearsing,
  RowRefusal,
  RowStatus,
  Settlement,
  Target,
} from "../contract.ts";
import { Asks } from "./ask.ts";
import { Vitals } from "./health.ts";
import { createPassMetrics } from "./metrics.ts";
import { Passes, type PassOrder, type PassResult } from "./pass.ts";
import { type EngineLog, PassJournal } from "./report.ts";
import { Settlements } from "./settle.ts";
import { StatusBook } from "./status.ts";
import { Trigger } from "./trigger.ts";

/** How often the prune gate is asked again while it holds something back. */
const GATE_RECHECK_MS = 1000;
/** A target that has not answered by then is told to give up. */
const TURN_TIMEOUT_MS = 60_000;
/** How long a running pass may go on after `close`, and then how long for it to obey the abort. */
const CLOSE_GRACE_MS = 2000;
const CLOSE_ABORTED_MS = 1000;
/** Authors of drift remembered until the next look. */
const AUTHORS_MAX = 10;

/** Where states come from; a `ControllerPort` is one. */
export interface StateSource<S> {
  readonly state: S;
  subscribe(listener: (state: S) => void): { close(): void };
}

export interface EngineDeps<S> {
  readonly clock: Clock;
  /** In [0, 1), for jitter. */
  readonly random: () => number;
  readonly log: EngineLog;
  readonly metrics: Metrics;
  readonly states: StateSource<S>;
  /** True once every source of desired rows was seen: before that, no delete that no event explains. */
  readonly initialized: () => boolean;
  /** Gateway time until which an operator paused this reconciler; one that is past means nothing. */
  readonly pausedUntil: (state: S) => number | null;
}

export interface RunningReconciler extends Reconciler {
  /** Begins with a full pass; resolves with its report, also when it failed. Called once. */
  start(): Promise<PassReport>;
  /** Lets a running pass end, or aborts it after 2 s. Whoever still waits is rejected. */
  close(): Promise<void>;
}

interface Rehearsal<S, Spec> {
  readonly state: S;
  readonly desired: DesiredTable<Spec>;
  readonly asks: Asks<readonly RowRefusal[] | undefined>;
}

type PlannedChange = Awaited<ReturnType<Reconciler["plan"]>>[number];

export function createReconciler<S extends { readonly seq: Seq }, Spec, Obs>(
  definition: ReconcilerDefinition<S, Spec, Obs>,
  target: Target<Spec, Obs>,
  deps: EngineDeps<S>,
): RunningReconciler & Rehearsing<S, Spec> {
  return new Engine(definition, target, deps);
}

/** Decides when there is a pass, keeps the books, tells the rest of the program. What a pass does is in `pass.ts`. */
class Engine<S extends { readonly seq: Seq }, Spec, Obs> implements RunningReconciler, Rehearsing<S, Spec> {
  readonly name: string;
  readonly #definition: ReconcilerDefinition<S, Spec, Obs>;
  readonly #target: Target<Spec, Obs>;
  readonly #deps: EngineDeps<S>;
  readonly #trigger: Trigger;
  readonly #passes: Passes<S, Spec, Obs>;
  readonly #statuses = new StatusBook();
  readonly #settlements = new Settlements(() => this.#statuses.errors());
  readonly #vitals = new Vitals();
  readonly #runs = new Asks<PassReport>();
  readonly #plans = new Asks<readonly PlannedChange[]>();
  readonly #plansReleased = new Asks<readonly PlannedChange[]>();
  readonly #rehearsals: Rehearsal<S, Spec>[] = [];
  readonly #journal: PassJournal;
  readonly #authors = new Set<string>();
  #sources: readonly { close(): void }[] | null = null;
  #turn: { readonly abort: AbortController; readonly startedAt: number; readonly ended: Promise<void> } | null = null;
  #passId = 0;
  #stateAt: number;
  #brakeReleased = false;
  #closing: Promise<void> | null = null;

  constructor(definition: ReconcilerDefinition<S, Spec, Obs>, target: Target<Spec, Obs>, deps: EngineDeps<S>) {
    this.name = definition.name;
    this.#definition = definition;
    this.#target = target;
    this.#deps = deps;
    this.#passes = new Passes(definition, target, this.#statuses, deps);
    this.#journal = new PassJournal(definition.name, deps.log, createPassMetrics(deps.metrics, definition.name));
    this.#stateAt = deps.clock.now();
    this.#trigger = new Trigger(deps.clock, () => this.#takeTurn());
  }

  start(): Promise<PassReport> {
    assert(this.#sources === null, `reconciler ${this.name} was started twice`);
    const { states, clock } = this.#deps;
    this.#passes.begin(states.state);
    const stateSource = states.subscribe((state) => {
      this.#stateAt = clock.now();
      this.#follow(state);
    });
    const drift = this.#target.watch?.((by) => {
      if (this.#authors.size < AUTHORS_MAX) this.#authors.add(by);
      this.#trigger.wake("drift");
    });
    this.#sources = drift === undefined ? [stateSource] : [stateSource, drift];
    const first = this.run("start");
    first.catch(() => {}); // Closing before the first pass is nobody's fault.
    return first;
  }

  status(key: string): RowStatus | undefined {
    const known = this.#statuses.get(key);
    if (known !== undefined) return known;
    const row = this.#definition.select(this.#deps.states.state).get(key);
    if (row === undefined) return undefined;
    return { kind: "pending", revision: row.revision, attempts: 0, retryAt: null, error: null, since: this.#stateAt };
  }

  settled(seq: Seq, signal: AbortSignal): Promise<Settlement> {
    return this.#settlements.wait(seq, signal);
  }

  run(reason: string): Promise<PassReport> {
    const report = this.#runs.ask();
    this.#trigger.wake(reason);
    return report;
  }

  plan(brakeReleased = false): Promise<readonly PlannedChange[]> {
    const plan = (brakeReleased ? this.#plansReleased : this.#plans).ask();
    this.#trigger.wake();
    return plan;
  }

  rehearse(state: S, desired: DesiredTable<Spec>): Promise<readonly RowRefusal[] | undefined> {
    const asks = new Asks<readonly RowRefusal[] | undefined>();
    const refused = asks.ask();
    this.#rehearsals.push({ state, desired, asks });
    this.#trigger.wake();
    if (this.#closing !== null) this.#endRehearsals();
    return refused;
  }

  releaseBrake(): void {
    this.#brakeReleased = true;
    this.#trigger.wake("brake released");
  }

  get passes(): readonly PassReport[] {
    return this.#journal.reports;
  }

  get health(): Health {
    return this.#vitals.health(
      {
        running: this.#closing !== null ? "stopped" : this.#sources === null ? "not started" : "running",
        pausedUntil: this.#pausedUntil(this.#deps.states.state),
        passStartedAt: this.#turn?.startedAt ?? null,
        errors: this.#statuses.errors(),
      },
      this.#deps.clock.now(),
    );
  }

  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  #follow(state: S): void {
    if (this.#turn === null && !this.#trigger.hasReasons && this.#passes.takeOver(state)) {
      return this.#settlements.complete(state.seq);
    }
    const { lagMs = 0 } = this.#definition;
    this.#trigger.wakeWithin(lagMs > 0 && this.#passes.knowsChanges(state) ? lagMs : 0, "state");
  }

  #pausedUntil(state: S): number | null {
    const until = this.#deps.pausedUntil(state);
    return until !== null && until > this.#deps.clock.now() ? until : null;
  }

  /** One at a time: whatever observes or applies does it in a turn. */
  #takeTurn(): Promise<void> {
    if (this.#closing !== null || this.#sources === null) return Promise.resolve();
    const { clock } = this.#deps;
    const abort = new AbortController();
    const startedAt = clock.now();
    const timeout = clock.setAlarm(startedAt + TURN_TIMEOUT_MS, () =>
      abort.abort(new PortreeveError("TIMEOUT", `${this.#target.name} did not answer in time`, "transient")),
    );
    const ended = this.#work(abort.signal).finally(() => {
      timeout.cancel();
      this.#turn = null;
    });
    this.#turn = { abort, startedAt, ended };
    return ended;
  }

  async #work(signal: AbortSignal): Promise<void> {
    await this.#answerPlanners(this.#plans, this.#brakeReleased, signal);
    await this.#answerPlanners(this.#plansReleased, true, signal);
    await this.#answerRehearsals(signal);
    if (this.#closing !== null || !this.#trigger.hasReasons) return;
    const runners = this.#runs.take();
    // After a failed pass the target is left alone for a while, whatever happens here: the alarm is set.
    if (runners.length === 0 && (this.#vitals.retryAt ?? 0) > this.#deps.clock.now()) return;
    const report = await this.#pass(runners.length > 0, signal);
    for (const { resolve } of runners) resolve(report);
  }

  async #answerPlanners(asks: Asks<readonly PlannedChange[]>, released: boolean, signal: AbortSignal): Promise<void> {
    const planners = asks.take();
    if (planners.length === 0) return;
    await this.#preview(released, signal).then(
      (changes) => planners.forEach(({ resolve }) => resolve(changes)),
      (error: unknown) => planners.forEach(({ reject }) => reject(error)),
    );
  }

  async #answerRehearsals(signal: AbortSignal): Promise<void> {
    for (const { state, desired, asks } of this.#rehearsals.splice(0)) {
      const order = { ...this.#order(false, signal), state: () => state, brakeReleased: true };
      const asker = asks.take();
      await this.#passes.rehearse(order, desired).then(
        (refused) => asker.forEach(({ resolve }) => resolve(refused)),
        (error: unknown) => asker.forEach(({ reject }) => reject(error)),
      );
    }
  }

  #endRehearsals(): void {
    for (const { asks } of this.#rehearsals.splice(0)) asks.close();
  }

  async #preview(brakeReleased: boolean, signal: AbortSignal): Promise<readonly PlannedChange[]> {
    const plan = await this.#passes.plan({ ...this.#order(false, signal), brakeReleased });
    return plan.map((change) => ({
      op: change.op,
      key: change.key,
      owners: change.op === "delete" ? [] : change.desired.owners,
    }));
  }

  #order(thorough: boolean, signal: AbortSignal): PassOrder<S> {
    return {
      thorough,
      state: () => this.#deps.states.state,
      paused: (state) => this.#pausedUntil(state) !== null,
      initialized: this.#deps.initialized(),
      brakeReleased: this.#brakeReleased,
      signal,
    };
  }

  async #pass(thorough: boolean, signal: AbortSignal): Promise<PassReport> {
    const { clock } = this.#deps;
    const reasons = this.#trigger.takeReasons();
    const authors = [...this.#authors];
    this.#authors.clear();
    const at = clock.now();
    this.#passId += 1;
    const base = { id: this.#passId, at, reasons };
    let report: PassReport;
    let result: PassResult | null = null;
    const order = this.#order(thorough, signal);
    try {
      result = await this.#passes.run(order);
      if (order.brakeReleased && result.applies) this.#brakeReleased = false;
      // The author's name may come in only after the look that found what he did.
      const blamed = authors.length > 0 ? authors : [...this.#authors];
      report = {
        ...base,
        through: result.through,
        observedFresh: result.observedFresh,
        created: result.created,
        updated: result.updated,
        deleted: result.deleted,
        failed: result.failed,
        heldBack: result.heldBack,
        driftBy: result.drifted === 0 ? null : blamed.length === 0 ? "unknown" : blamed.join(", "),
        durationMs: clock.now() - at,
        error: null,
      };
    } catch (error) {
      if (error instanceof AssertionError) throw error;
      for (const author of authors) this.#authors.add(author);
      report = { ...base, ...NOTHING_DONE, durationMs: clock.now() - at, error: describe(error) };
    }
    this.#account(report, result);
    return report;
  }

  #account(report: PassReport, result: PassResult | null): void {
    const { clock, random } = this.#deps;
    if (result === null) this.#vitals.failed(clock.now(), report.error ?? "", this.#definition.retry, random);
    else this.#vitals.succeeded(clock.now(), result.heldBack, result.heldBy);
    this.#journal.add(report, result, this.#statuses.errorsCurrent);
    this.#setAlarm(result);
    if (result?.settles === true) this.#settlements.complete(result.through);
  }

  #setAlarm(result: PassResult | null): void {
    const now = this.#deps.clock.now();
    if (result === null) return this.#trigger.wakeAt(this.#vitals.retryAt ?? now, "retry");
    let at = this.#passes.observation.observedAt + this.#definition.refreshMs;
    let reason = "refresh";
    const consider = (instant: number | null, why: string): void => {
      if (instant === null || instant >= at) return;
      at = instant;
      reason = why;
    };
    if (result.applies) consider(this.#statuses.nextRetryAt, "retry");
    // What was paused when the pass compared may have ended while it was under way.
    const missed = !result.applies && this.#definition.policy !== "observe-only" ? now : null;
    consider(this.#pausedUntil(this.#deps.states.state) ?? missed, "resume");
    if (result.heldBy === "gate") consider(now + GATE_RECHECK_MS, "gate");
    this.#trigger.wakeAt(at, reason);
  }

  async #shutDown(): Promise<void> {
    this.#trigger.close();
    for (const source of this.#sources ?? []) source.close();
    if (this.#turn !== null) {
      const { ended, abort } = this.#turn;
      if (!(await this.#within(ended, CLOSE_GRACE_MS))) {
        abort.abort(new PortreeveError("NOT_READY", "the controller is stopping", "transient"));
        await this.#within(ended, CLOSE_ABORTED_MS);
      }
    }
    this.#settlements.close();
    this.#runs.close();
    this.#plans.close();
    this.#plansReleased.close();
    this.#endRehearsals();
  }

  #within(promise: Promise<unknown>, ms: number): Promise<boolean> {
    const { clock } = this.#deps;
    return new Promise((resolve) => {
      const alarm = clock.setAlarm(clock.now() + ms, () => resolve(false));
      const ended = (): void => {
        alarm.cancel();
        resolve(true);
      };
      promise.then(ended, ended);
    });
  }
}

const NOTHING_DONE = {
  through: 0,
  observedFresh: false,
  created: 0,
  updated: 0,
  deleted: 0,
  failed: 0,
  heldBack: 0,
  driftBy: null,
} as const;

function describe(error: unknown): string {
  if (error instanceof PortreeveError) return `${error.message} (${error.code})`;
  return error instanceof Error ? error.message : String(error);
}
