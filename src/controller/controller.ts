import type { ControllerMode, ControllerPort, SubmissionInput } from "./port.ts";
import { GENESIS_HASH, type PendingRecord } from "../events/envelope.ts";
import type { PortreeveEvent, PortreeveRecord } from "../events/index.ts";
import type { EventLog, RememberedAnswer } from "../events/log.ts";
import { assert } from "../lib/assert.ts";
import type { Clock } from "../lib/clock.ts";
import { PortreeveError } from "../lib/errors.ts";
import { LeaseBook } from "./lease-book.ts";
import { decide } from "../reducers/decide/index.ts";
import type { Decision, Outcome, Refusal, Submission } from "../reducers/decide/command.ts";
import type { Renewal } from "../reducers/deadlines.ts";
import { foldInto } from "../reducers/fold.ts";
import { forkState, sealState } from "../reducers/fork.ts";
import { checkInvariants } from "../reducers/invariants.ts";
import type { State } from "../reducers/state.ts";
import { SettledSubmission, type Settler } from "./settled-submission.ts";

/** Commands decided on one candidate and made durable by one fsync. */
const GROUP_MAX = 256;
/** They read the deadlines of all leases, which follow commits: in a group nothing may be decided before them. */
const READ_ALL_DEADLINES: ReadonlySet<string> = new Set(["leases.expire", "leases.checkpoint", "controller.stop"]);
/** Beyond this many waiting commands the controller answers "try later" at once. */
const QUEUE_MAX = 10_000;

/** Leases end by the lease clock; one that is overdue all the same is ended before a command, this often at most. */
const END_DUE_AGAIN_MS = 5000;

interface Waiting {
  readonly submission: Submission;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (cause: unknown) => void;
  /** True once its group's append failed: it is decided a second time only if it asked for no event. */
  retried: boolean;
}

interface Decided {
  readonly waiting: Waiting;
  readonly decision: Decision;
  /** Seq of the last record of its events; the group's first free seq before them if there are none. */
  readonly through: number;
  /** What puts its renewals back, should nothing of the group be written. */
  readonly undo: readonly Renewal[];
}

export interface ControllerOptions {
  readonly log: Pick<EventLog, "append">;
  readonly clock: Clock;
  /** 32 random bits, drawn once a command. */
  readonly entropy: () => number;
  /** Whether HAProxy is there for TLS names; absent: it is. */
  readonly sharesPorts?: () => boolean;
  readonly state: State;
  /** Told of each commit's size and duration (metrics), and of bugs that refused a command. */
  readonly onCommit?: (commit: { events: number; commands: number; seconds: number }) => void;
  readonly onFault?: (fault: { message: string; cause: unknown; command: string }) => void;
}

/**
 * The single writer: decide → fold the candidate and check it → append → swap the reference → publish. Commands that
 * arrive while a commit is under way are decided together on its result.
 */
export class Controller implements ControllerPort {
  readonly #options: ControllerOptions;
  readonly #queue: Waiting[] = [];
  readonly #listeners = new Set<(state: State, records: readonly PortreeveRecord[]) => void>();
  readonly #settled: SettledSubmission;
  readonly leases = new LeaseBook();
  #state: State;
  #mode: ControllerMode = "starting";
  #draining: Promise<void> | null = null;
  /** No lease is ended by a command that is only passing before this gateway time. */
  #endDueFrom = Number.NEGATIVE_INFINITY;

  constructor(options: ControllerOptions) {
    this.#options = options;
    this.#state = sealState(options.state);
    this.#settled = new SettledSubmission(this, options.clock);
    this.leases.restore(options.state, options.clock.now());
  }

  get state(): State {
    return this.#state;
  }

  get mode(): ControllerMode {
    return this.#mode;
  }

  get deadlines(): LeaseBook {
    return this.leases;
  }

  /** From here on promises can be made, or, in safe mode, no more. */
  enter(mode: ControllerMode): void {
    this.#mode = mode;
  }

  /** The reconcilers whose agreement a promise waits for. */
  settleWith(settler: Settler): void {
    this.#settled.settler = settler;
  }

  submit(command: SubmissionInput): Promise<Outcome> {
    const refusal = this.#refuseNow(command);
    if (refusal !== null) return Promise.resolve({ ok: false, refusal });
    const { clock, entropy, sharesPorts = () => true } = this.#options;
    const now = command.now ?? clock.now();
    const submission = { ...command, now, entropy: entropy(), sharesPorts: sharesPorts() } as Submission;
    if (command.source !== "controller" && command.source !== "clock") this.#endDueBefore(submission);
    return this.#enqueue(submission);
  }

  #enqueue(submission: Submission): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ submission, resolve, reject, retried: false });
      this.#draining ??= this.#drain();
    });
  }

  /** Timers do not run in a suspend: after one, requests are read before the lease clock has had its turn. */
  #endDueBefore({ now, requestId }: Submission): void {
    const next = this.leases.next();
    if (next === null || next >= now || now < this.#endDueFrom) return;
    this.#endDueFrom = now + END_DUE_AGAIN_MS;
    const expire = {
      type: "leases.expire",
      source: "clock",
      requestId: `before ${requestId}`,
      now,
      entropy: 0,
    } as const;
    void this.#enqueue(expire).catch(() => undefined); // who asked hears of it by the command that follows
  }

  submitSettled(command: SubmissionInput): Promise<Outcome> {
    return this.#settled.submit(command);
  }

  settled(seq: number, signal: AbortSignal): Promise<void> {
    return this.#settled.wait(seq, signal);
  }

  preview(command: SubmissionInput): { outcome: Outcome; state: State; events: readonly PortreeveEvent[] } {
    const { clock, sharesPorts = () => true } = this.#options;
    const added = { now: command.now ?? clock.now(), entropy: 0, sharesPorts: sharesPorts() };
    const submission = { ...command, ...added } as Submission;
    const fork = forkState(this.#state);
    const { decision, records } = this.#decideInto(fork, submission);
    const state = sealState(fork);
    const events = records.map((record) => record.event);
    return { outcome: this.#outcome(decision, state.seq), state, events };
  }

  subscribe(listener: (state: State, records: readonly PortreeveRecord[]) => void): { close(): void } {
    this.#listeners.add(listener);
    return { close: () => this.#listeners.delete(listener) };
  }

  /** Waits until nothing is queued or being written. */
  async idle(): Promise<void> {
    while (this.#draining !== null) await this.#draining;
  }

  #refuseNow(command: SubmissionInput): Refusal | null {
    const internal = command.source === "controller" || command.source === "kernel" || command.source === "clock";
    if (this.#mode === "safe" || this.#mode === "stopped" || (this.#mode === "starting" && !internal)) {
      const message = `the controller is ${this.#mode === "safe" ? "in safe mode" : this.#mode} and can promise nothing now`;
      return { code: "NOT_READY", message, retryAfter: 30 };
    }
    if (this.#queue.length < QUEUE_MAX) return null;
    return { code: "NOT_READY", message: `${QUEUE_MAX} commands are waiting; ask again`, retryAfter: 30 };
  }

  #refuseAll(group: readonly Waiting[]): void {
    for (const { submission, resolve } of group) {
      const refusal = this.#refuseNow(submission);
      assert(refusal !== null, "refused for nothing");
      resolve({ ok: false, refusal });
    }
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      // One turn of the event loop gathers what arrived together, and lets the reconcilers begin on the last commit.
      await new Promise((resolve) => setImmediate(resolve));
      const group = this.#nextGroup();
      try {
        await this.#commit(group);
      } catch (cause) {
        for (const waiting of group) waiting.reject(cause);
      }
    }
    // In the same turn as the last look at the queue: a command that comes later must start a new drain.
    this.#draining = null;
  }

  #nextGroup(): Waiting[] {
    const first = this.#queue.findIndex(
      ({ submission }, index) => index > 0 && READ_ALL_DEADLINES.has(submission.type),
    );
    return this.#queue.splice(0, first < 0 ? GROUP_MAX : Math.min(first, GROUP_MAX));
  }

  async #commit(group: readonly Waiting[]): Promise<void> {
    // Entered while they waited.
    if (this.#mode === "safe") return this.#refuseAll(group);
    const base = this.#state;
    const candidate = this.#decideGroup(base, group);
    const started = performance.now();
    if (candidate.records.length > 0) {
      const answers = candidate.decided.flatMap((each) => this.#answerToKeep(each));
      let written: readonly PortreeveRecord[];
      try {
        const { log } = this.#options;
        written = await log.append({ expectedHead: base.seq, records: candidate.records, answers });
      } catch (cause) {
        this.#appendFailed(candidate.decided, cause);
        return;
      }
      assert(written.at(-1)?.seq === candidate.state.seq, "the log numbered the records otherwise than the fold");
      this.#state = candidate.state;
      this.#followLeases(candidate, written);
      this.#publish(written);
      const seconds = (performance.now() - started) / 1000;
      this.#options.onCommit?.({ events: written.length, commands: group.length, seconds });
    }
    for (const { waiting, decision, through } of candidate.decided) {
      waiting.resolve(this.#outcome(decision, through));
    }
  }

  /** In the order of the decisions, renewals again: they may be of leases that this very group granted or changed. */
  #followLeases(
    { state, decided }: { readonly state: State; readonly decided: readonly Decided[] },
    written: readonly PortreeveRecord[],
  ): void {
    let next = 0;
    for (const { decision, through } of decided) {
      const first = next;
      while (next < written.length && (written[next] as PortreeveRecord).seq <= through) next += 1;
      if (next > first) this.leases.apply(state, written.slice(first, next));
      if (decision.ok) for (const renewal of decision.renewals) this.leases.renew(renewal);
    }
  }

  #decideGroup(
    base: State,
    group: readonly Waiting[],
  ): { state: State; records: PendingRecord<PortreeveEvent>[]; decided: Decided[] } {
    try {
      return this.#decideTogether(base, group);
    } catch (cause) {
      if (group.length === 1) {
        // A reducer that throws or a broken invariant refuses the command and never reaches the log.
        const [waiting] = group as [Waiting];
        this.#options.onFault?.({ message: "command refused by a bug", cause, command: waiting.submission.type });
        const message = "this is a bug in Portreeve; nothing was changed. Its log says more";
        const decision: Decision = { ok: false, refusal: { code: "INTERNAL", message } };
        return { state: base, records: [], decided: [{ waiting, decision, through: base.seq, undo: [] }] };
      }
    }
    let state = base;
    const all: { records: PendingRecord<PortreeveEvent>[]; decided: Decided[] } = { records: [], decided: [] };
    for (const waiting of group) {
      const one = this.#decideGroup(state, [waiting]);
      state = one.state;
      all.records.push(...one.records);
      all.decided.push(...one.decided);
    }
    return { state, ...all };
  }

  #decideTogether(
    base: State,
    group: readonly Waiting[],
  ): { state: State; records: PendingRecord<PortreeveEvent>[]; decided: Decided[] } {
    const fork = forkState(base);
    const records: PendingRecord<PortreeveEvent>[] = [];
    const decided: Decided[] = [];
    for (const waiting of group) {
      const { decision, records: added } = this.#decideInto(fork, waiting.submission);
      // At once: what is decided later in the group must see the deadline that was moved before it.
      const undo = decision.ok ? deadlinesMoved(decision).flatMap((moved) => this.leases.renew(moved) ?? []) : [];
      records.push(...added);
      decided.push({ waiting, decision, through: fork.seq, undo });
    }
    const state = records.length === 0 ? base : sealState(fork);
    const faults = state === base ? [] : checkInvariants(state, base);
    assert(faults.length === 0, `invariants broken: ${faults.join("; ")}`);
    return { state, records, decided };
  }

  #decideInto(fork: State, submission: Submission): { decision: Decision; records: PendingRecord<PortreeveEvent>[] } {
    const decision = decide(submission, fork, this.leases);
    const records: PendingRecord<PortreeveEvent>[] = [];
    if (!decision.ok) return { decision, records };
    const { source, requestId } = submission;
    const { causedBy = null } = decision;
    const at = Math.max(submission.now, fork.at);
    for (const event of decision.events) {
      records.push({ at, source, requestId, causedBy, event });
      // The hashes are the log's business; no reducer looks at them.
      const [prevHash, hash] = [GENESIS_HASH, GENESIS_HASH];
      foldInto(fork, { seq: fork.seq + 1, at, source, requestId, causedBy, event, prevHash, hash });
    }
    return { decision, records };
  }

  /** HTTP requests carry an id a client can repeat, and signed updates that change something; other datagrams are idempotent by state. */
  #answerToKeep({ waiting: { submission }, decision, through }: Decided): RememberedAnswer[] {
    if (!decision.ok) return [];
    const { requestId, source } = submission;
    const isSigned = submission.type === "dns.update" && submission.signed && decision.events.length > 0;
    if (!isSigned && !source.startsWith("api:")) return [];
    return [{ requestId, answer: this.#outcome(decision, through) }];
  }

  /** The candidate is dropped; nobody saw it. What needed no event is decided again on the state that stands. */
  #appendFailed(decided: readonly Decided[], cause: unknown): void {
    const fatal = cause instanceof PortreeveError && cause.disposition === "fatal";
    const message = "the event log could not be written, so nothing was promised; ask again shortly";
    if (fatal) this.#mode = "safe"; // before anyone is told: who hears of it looks whether it goes on
    this.#options.onFault?.({ message: "append failed", cause, command: decided[0]?.waiting.submission.type ?? "" });
    for (const { undo } of [...decided].reverse()) for (const before of undo) this.leases.renew(before);
    for (const { waiting, decision } of decided) {
      // A refusal too: it may stand on what was never written.
      const eventless = !decision.ok || decision.events.length === 0;
      if (eventless && !waiting.retried && !fatal) {
        waiting.retried = true;
        this.#queue.push(waiting);
      } else waiting.resolve({ ok: false, refusal: { code: "LOG_WRITE_FAILED", message, retryAfter: 30 } });
    }
  }

  #outcome(decision: Decision, seq: number): Outcome {
    if (!decision.ok) return { ok: false, refusal: decision.refusal };
    const { events, answer } = decision;
    const made = events.flatMap(claimsMade);
    return { ok: true, seq, changed: events.length > 0, answer, ...(made.length > 0 && { made }) };
  }

  #publish(records: readonly PortreeveRecord[]): void {
    for (const listener of this.#listeners) listener(this.#state, records);
  }
}

/** In memory by renewals, and by events of which the commit will tell. */
function deadlinesMoved({ renewals, events }: Extract<Decision, { ok: true }>): Renewal[] {
  const byEvents = events.flatMap((event) => {
    if (event.type === "dns.updated") {
      const { retimed, expiresAt } = event.data;
      return retimed.map(({ id: recordId }): Renewal => ({ recordId, expiresAt }));
    }
    if (event.type !== "lease.changed") return [];
    const { mappingId, claimKey, expiresAt } = event.data;
    return expiresAt === null ? [] : [{ mappingId, claimKey, expiresAt }];
  });
  return [...byEvents, ...renewals];
}

function claimsMade(event: PortreeveEvent): { mappingId: string; claimKey: string }[] {
  if (event.type === "mapping.granted") return [{ mappingId: event.data.id, claimKey: event.data.claim.key }];
  if (event.type === "lease.granted") return [{ mappingId: event.data.mappingId, claimKey: event.data.claim.key }];
  return [];
}
