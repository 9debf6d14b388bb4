import { setTimeout as pause } from "node:timers/promises";
import type { LogVerification } from "../api/deps.ts";
import type { EventLog } from "../events/log.ts";
import { LogFault } from "../events/log-fault.ts";
import { PortreeveError } from "../lib/errors.ts";

/** Records between two pauses: a few milliseconds of work. */
const RECORDS_AT_ONCE = 200;

export interface VerificationOptions {
  readonly log: Pick<EventLog, "base" | "head" | "read">;
  /** Checks the files below the log first: the store may not survive reading a damaged one. */
  readonly scanFiles: () => Promise<void>;
  readonly onFault: (fault: LogFault) => void;
}

/**
 * Reads every record of the log once, beside the work: a start trusts a snapshot and the tail after it, and this finds
 * what lies damaged before them. Pauses as long as it worked, so that it takes no more than half of what is idle.
 */
export class BackgroundVerification {
  readonly #options: VerificationOptions;
  #status: LogVerification = { state: "running", through: 0, message: "the check has not begun" };
  #stopped = false;
  #done: Promise<void> = Promise.resolve();

  constructor(options: VerificationOptions) {
    this.#options = options;
  }

  get status(): LogVerification {
    return this.#status;
  }

  start(): void {
    this.#done = this.#run();
  }

  /** Resolves once nothing reads the log any more. */
  async close(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }

  async #run(): Promise<void> {
    const { log, scanFiles, onFault } = this.#options;
    const { base, head } = log;
    try {
      await scanFiles();
      let began = performance.now();
      for await (const { seq } of log.read(base.seq, { to: head.seq })) {
        if (this.#stopped) return;
        if (seq % RECORDS_AT_ONCE !== 0) continue;
        this.#status = { state: "running", through: seq, message: `checked up to record ${seq} of ${head.seq}` };
        await pause(performance.now() - began);
        began = performance.now();
      }
      const message = `every record up to ${head.seq}, the newest at the start, is the one that was written`;
      this.#status = { state: "ok", through: head.seq, message };
    } catch (cause) {
      if (this.#stopped || !(cause instanceof PortreeveError)) {
        if (this.#stopped) return;
        throw cause;
      }
      const { through } = this.#status;
      const damaged = cause instanceof LogFault;
      this.#status = { state: damaged ? "damaged" : "failed", through, message: cause.message };
      if (damaged) onFault(cause);
    }
  }
}
