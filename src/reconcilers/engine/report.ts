import type { PassReport } from "../contract.ts";
import type { PassFigures } from "./metrics.ts";
import type { PassResult } from "./pass.ts";

const REPORTS_MAX = 500;

/** The part of a pino logger that is needed. */
export interface EngineLog {
  warn(fields: object, message: string): void;
}

/** Where passes are reported: the last 500 in memory, the metrics, and the log if something is worth a line. */
export class PassJournal {
  readonly #name: string;
  readonly #log: EngineLog;
  readonly #measure: (figures: PassFigures) => void;
  readonly #reports: PassReport[] = [];
  #heldBack = 0;

  constructor(name: string, log: EngineLog, measure: (figures: PassFigures) => void) {
    this.#name = name;
    this.#log = log;
    this.#measure = measure;
  }

  /** Oldest first. */
  get reports(): readonly PassReport[] {
    return this.#reports.slice(-REPORTS_MAX);
  }

  /** `result` is null when the pass failed as a whole. */
  add(report: PassReport, result: PassResult | null, errorsCurrent: number): void {
    this.#reports.push(report);
    if (this.#reports.length > 2 * REPORTS_MAX) this.#reports.splice(0, this.#reports.length - REPORTS_MAX);
    this.#measure({ report, rows: result?.rows ?? 0, errorsCurrent });
    this.#write(report, result);
  }

  #write(report: PassReport, result: PassResult | null): void {
    const fields = { reconciler: this.#name, passId: report.id, seq: report.through };
    if (result === null) return this.#log.warn({ ...fields, error: report.error }, "pass failed");
    if (report.driftBy !== null) {
      this.#log.warn({ ...fields, by: report.driftBy, rows: result.drifted }, "target changed by someone else");
    }
    if (report.failed > 0) this.#log.warn({ ...fields, rows: report.failed }, "rows refused by the target");
    if (report.heldBack > 0 && report.heldBack !== this.#heldBack) {
      this.#log.warn({ ...fields, rows: report.heldBack, by: result.heldBy }, "deletes held back");
    }
    this.#heldBack = report.heldBack;
  }
}
