import { setTimeout as sleep } from "node:timers/promises";
import type { LogVerification } from "../api/deps.ts";
import type { Seq } from "../events/envelope.ts";
import type { EventLog } from "../events/log.ts";
import { LogFault } from "../events/log-fault.ts";
import { PortreeveError } from "../lib/errors.ts";

/** A check that could not be made, where files could not be read for a moment, is made again after this. */
const AGAIN_MS = 60_000;

export interface VerificationOptions {
  readonly log: Pick<EventLog, "head">;
  /** Reads every record up to the head that the log has at its beginning; rejects with the fault that it finds. */
  readonly check: (onProgress: (through: Seq) => void, signal: AbortSignal) => Promise<void>;
  readonly onFault: (fault: LogFault) => void;
  readonly againMs?: number;
}

/**
 * Every record of the log is read once, beside the work: a start trusts a snapshot and the tail after it, and this finds
 * what lies damaged before them.
 */
export class BackgroundVerification {
  readonly #options: VerificationOptions;
  readonly #stop = new AbortController();
  #status: LogVerification = { state: "running", through: 0, message: "the check has not begun" };
  #done: Promise<void> = Promise.resolve();

  constructor(options: VerificationOptions) {
    this.#options = options;
  }

  get status(): LogVerification {
    return this.#status;
  }

  start(): void {
    this.#done = this.#runUntilKnown();
  }

  /** Resolves once nothing reads the log any more. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  async #runUntilKnown(): Promise<void> {
    const { signal } = this.#stop;
    const { againMs = AGAIN_MS } = this.#options;
    for (;;) {
      await this.#run();
      if (this.#status.state !== "failed" || signal.aborted) return;
      await sleep(againMs, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
    }
  }

  async #run(): Promise<void> {
    const { log, check, onFault } = this.#options;
    const last = log.head.seq;
    const { signal } = this.#stop;
    const onProgress = (through: Seq): void => {
      this.#status = { state: "running", through, message: `checked up to record ${through} of ${last}` };
    };
    try {
      await check(onProgress, signal);
      if (signal.aborted) return;
      const message = `every record up to ${last}, the newest at the start, is the one that was written`;
      this.#status = { state: "ok", through: last, message };
    } catch (cause) {
      if (signal.aborted) return;
      if (!(cause instanceof PortreeveError)) throw cause;
      const { through } = this.#status;
      const damaged = cause instanceof LogFault;
      this.#status = { state: damaged ? "damaged" : "failed", through, message: cause.message };
      if (damaged) onFault(cause);
    }
  }
}
