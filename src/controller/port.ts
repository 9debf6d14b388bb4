import type { Seq } from "../events/envelope.ts";
import type { PortreeveEvent, PortreeveRecord } from "../events/index.ts";
import type { Command, CommandEnvelope, Outcome } from "../reducers/decide/command.ts";
import type { Deadlines } from "../reducers/deadlines.ts";
import type { State } from "../reducers/state.ts";

/**
 * Only `running` promises anything: commands are refused with NOT_READY before they are decided, but while `starting`
 * those of the controller itself, the kernel and the clock.
 */
export type ControllerMode = "starting" | "running" | "safe" | "stopped";

/** What adapters that listen, and the API, are given of the controller. */
export interface ControllerPort {
  readonly state: State;
  readonly mode: ControllerMode;
  readonly deadlines: Deadlines;
  /** Decides and makes durable. Refusals are values; rejects only for bugs. A log that cannot be written is a refusal too. */
  submit(command: SubmissionInput): Promise<Outcome>;
  /** What `submit` would do, without doing it: the events it would append. */
  preview(command: SubmissionInput): {
    readonly outcome: Outcome;
    readonly state: State;
    readonly events: readonly PortreeveEvent[];
  };
  /**
   * `submit`, then wait until the kernel agrees. If a target refuses what was new, or after 5 s, the new promise is
   * withdrawn by an event and the outcome is a refusal with APPLY_FAILED or NOT_SETTLED. Never withdraws what existed before.
   */
  submitSettled(command: SubmissionInput): Promise<Outcome>;
  /** Calls back after each commit, in order. */
  subscribe(listener: (state: State, records: readonly PortreeveRecord[]) => void): { close(): void };
  /** Resolves when state.seq ≥ seq and every reconciler that a promise hangs on has tried it. */
  settled(seq: Seq, signal: AbortSignal): Promise<void>;
}

/** A command without what the controller adds itself: `now`, `entropy` and `sharesPorts` may be left out. */
export type SubmissionInput = Pick<CommandEnvelope, "source" | "requestId"> &
  Partial<Pick<CommandEnvelope, "now" | "ifSeq">> &
  Command;
