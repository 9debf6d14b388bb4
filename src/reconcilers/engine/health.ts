import type { Health, ReconcileError } from "../contract.ts";
import { backoffMs, type RetryKnobs } from "./retry.ts";

/** More than this many errors in one sentence help nobody. */
const ERRORS_NAMED_MAX = 10;
/** A pass that runs longer than this counts as failing since it began: a target that hangs must show. */
const PASS_OVERDUE_MS = 30_000;

/** What health says about, besides how the passes went. */
export interface Circumstances {
  readonly running: "not started" | "running" | "stopped";
  readonly pausedUntil: number | null;
  /** When the pass that runs now began; null when none does. */
  readonly passStartedAt: number | null;
  readonly errors: ReadonlyMap<string, ReconcileError>;
}

/** How the passes as a whole have been going, and when a failed one may be tried again. */
export class Vitals {
  #lastSuccessAt: number | null = null;
  #failing: {
    readonly since: number;
    readonly attempts: number;
    readonly error: string;
    readonly retryAt: number;
  } | null = null;
  #heldBack = 0;
  #heldBy: "gate" | "brake" | null = null;

  /** Until then only an explicit request makes a pass; null when the last one succeeded. */
  get retryAt(): number | null {
    return this.#failing?.retryAt ?? null;
  }

  succeeded(now: number, heldBack: number, heldBy: "gate" | "brake" | null): void {
    this.#lastSuccessAt = now;
    this.#failing = null;
    this.#heldBack = heldBack;
    this.#heldBy = heldBy;
  }

  failed(now: number, error: string, knobs: RetryKnobs, random: () => number): void {
    const attempts = (this.#failing?.attempts ?? 0) + 1;
    const retryAt = now + backoffMs(attempts, knobs, random);
    this.#failing = { since: this.#failing?.since ?? now, attempts, error, retryAt };
  }

  /** A level and a sentence, the worst first. */
  health({ running, pausedUntil, passStartedAt, errors }: Circumstances, now: number): Health {
    const overdue = passStartedAt !== null && now - passStartedAt > PASS_OVERDUE_MS;
    const figures = {
      lastSuccessAt: this.#lastSuccessAt,
      failingSince: this.#failing?.since ?? (overdue ? passStartedAt : null),
      errorsCurrent: errors.size,
      heldBack: this.#heldBack,
    };
    if (running !== "running") return { level: "stopped", message: running, ...figures };
    if (pausedUntil !== null) {
      return { level: "paused", message: `paused until ${new Date(pausedUntil).toISOString()}`, ...figures };
    }
    const troubles: string[] = [];
    if (overdue) troubles.push(`a pass has been running for ${Math.round((now - passStartedAt) / 1000)} s`);
    if (this.#failing !== null) troubles.push(`the last pass failed: ${this.#failing.error}`);
    else if (this.#lastSuccessAt === null && !overdue) troubles.push("the first pass is not done yet");
    if (errors.size > 0) troubles.push(errorsInWords(errors));
    if (this.#heldBy === "gate") troubles.push(`${this.#heldBack} deletes wait until every source has been seen`);
    if (this.#heldBy === "brake") {
      troubles.push(
        `${this.#heldBack} deletes that no event explains wait for \`portreeve reconciler release-brake NAME\``,
      );
    }
    if (troubles.length === 0) return { level: "ok", message: "in sync", ...figures };
    return { level: "degraded", message: troubles.join("; "), ...figures };
  }
}

function errorsInWords(errors: ReadonlyMap<string, ReconcileError>): string {
  const named: string[] = [];
  for (const [key, error] of errors) {
    if (named.length === ERRORS_NAMED_MAX) break;
    named.push(`${key}: ${error.message} (${error.code})`);
  }
  const more = errors.size > named.length ? ` and ${errors.size - named.length} more` : "";
  return `${errors.size} rows in error: ${named.join(", ")}${more}`;
}
