import type { Logger } from "pino";
import type { LogVerification } from "../api/deps.ts";
import type { Config } from "../config/schema.ts";
import type { ControllerPort } from "../controller/port.ts";
import type { SnapshotKeeper } from "../controller/snapshot-keeper.ts";
import type { EventLog } from "../events/log.ts";
import { suspectLog } from "../events/leveldb/log-open.ts";
import type { Clock } from "../lib/clock.ts";
import { PortreeveError } from "../lib/errors.ts";
import { checkInThread } from "./log-check.ts";
import { BackgroundVerification } from "./log-verification.ts";
import { SnapshotSchedule } from "./snapshots.ts";

/** Renewals are answered without the log: no longer than this after another process may have begun to write it. */
const LOCK_CHECK_MS = 500;

export interface LogCareOptions {
  readonly config: Pick<Config, "dataDir" | "log">;
  readonly controller: ControllerPort;
  readonly keeper: SnapshotKeeper;
  readonly eventLog: EventLog;
  readonly clock: Pick<Clock, "now">;
  readonly log: Logger;
  /** The log can be trusted no more, or belongs to another process. */
  readonly onFault: (fault: PortreeveError) => void;
}

/** What the log needs beside being written: snapshots, the archive, a look at its lock, and once a start at all of it. */
export class LogCare {
  readonly #options: LogCareOptions;
  readonly #verification: BackgroundVerification;
  readonly #schedule: SnapshotSchedule;
  #lockTimer: NodeJS.Timeout | null = null;

  constructor(options: LogCareOptions) {
    this.#options = options;
    const { config, controller, keeper, eventLog, clock, log, onFault } = options;
    const { dataDir } = config;
    this.#verification = new BackgroundVerification({
      log: eventLog,
      check: (onProgress, signal) => {
        const { base, head } = eventLog;
        return checkInThread({ dataDir, base, head }, onProgress, signal);
      },
      onFault: (fault) => {
        onFault(fault);
        void suspectLog(dataDir, fault);
      },
    });
    this.#schedule = new SnapshotSchedule({
      keeper,
      controller,
      retain: config.log.retain,
      now: () => clock.now(),
      onDone: (done) => log.debug(done, "snapshot"),
      onError: (cause) => log.warn({ err: cause }, "no snapshot now; the log is complete without it"),
    });
  }

  get verification(): LogVerification {
    return this.#verification.status;
  }

  async start(): Promise<void> {
    this.#lockTimer = setInterval(() => this.#checkLock(), LOCK_CHECK_MS).unref();
    this.#verification.start();
    await this.#schedule.start();
  }

  async close(): Promise<void> {
    this.#forgetLock();
    await this.#schedule.close();
    await this.#verification.close();
  }

  #checkLock(): void {
    try {
      this.#options.eventLog.checkLock();
    } catch (cause) {
      // What is not final is the next append's to tell.
      if (!(cause instanceof PortreeveError) || cause.disposition !== "fatal") return;
      this.#forgetLock();
      this.#options.onFault(cause);
    }
  }

  #forgetLock(): void {
    if (this.#lockTimer !== null) clearInterval(this.#lockTimer);
  }
}
