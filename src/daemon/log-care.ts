import type { Logger } from "pino";
import type { LogVerification } from "../api/deps.ts";
import type { Config } from "../config/schema.ts";
import type { ControllerPort } from "../controller/port.ts";
import type { SnapshotKeeper } from "../controller/snapshot-keeper.ts";
import { dataDirAt } from "../events/data-dir.ts";
import type { EventLog } from "../events/log.ts";
import type { LogFault } from "../events/log-fault.ts";
import { suspectLog } from "../events/log-open.ts";
import { scanTables } from "../events/table-scan.ts";
import type { Clock } from "../lib/clock.ts";
import { BackgroundVerification } from "./log-verification.ts";
import { SnapshotSchedule } from "./snapshots.ts";

export interface LogCareOptions {
  readonly config: Pick<Config, "dataDir" | "log">;
  readonly controller: ControllerPort;
  readonly keeper: SnapshotKeeper;
  readonly eventLog: EventLog;
  readonly clock: Pick<Clock, "now">;
  readonly log: Logger;
  readonly onFault: (fault: LogFault) => void;
}

/** What the log needs beside being written: snapshots, the archive, and once a start a look at all of it. */
export class LogCare {
  readonly #verification: BackgroundVerification;
  readonly #schedule: SnapshotSchedule;

  constructor({ config, controller, keeper, eventLog, clock, log, onFault }: LogCareOptions) {
    const { dataDir } = config;
    this.#verification = new BackgroundVerification({
      log: eventLog,
      scanFiles: () => scanTables(dataDirAt(dataDir).log, Number.POSITIVE_INFINITY),
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
    this.#verification.start();
    await this.#schedule.start();
  }

  async close(): Promise<void> {
    await this.#schedule.close();
    await this.#verification.close();
  }
}
