import type { Clock } from "../../../../lib/clock.ts";

/** Twice in a row is no accident. */
const FAILURES_UNTIL_DOWN = 2;
const DOWN_MS = { first: 1000, max: 60_000 };
/** Before the next upstream is asked as well: four times what an answer takes, within these. */
const PATIENCE_MS = { unknown: 500, min: 200, max: 1000 };

export interface HealthStatus {
  readonly state: "untried" | "up" | "down";
  /** Smoothed milliseconds of an answer. */
  readonly answerMs: number | null;
  readonly lastFailure: string | null;
}

/** How an upstream does: whether it is asked first or only when nobody else is left. */
export class UpstreamHealth {
  readonly #clock: Clock;
  #failures = 0;
  #downUntil = 0;
  #answerMs: number | null = null;
  #lastFailure: string | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Not asked before others are: it failed lately. Once its time is over one query finds out. */
  get isDown(): boolean {
    return this.#failures >= FAILURES_UNTIL_DOWN && this.#clock.now() < this.#downUntil;
  }

  get patienceMs(): number {
    if (this.#answerMs === null) return PATIENCE_MS.unknown;
    return Math.min(Math.max(4 * this.#answerMs, PATIENCE_MS.min), PATIENCE_MS.max);
  }

  get status(): HealthStatus {
    const failed = this.#failures >= FAILURES_UNTIL_DOWN;
    const state = failed ? "down" : this.#answerMs === null ? "untried" : "up";
    return {
      state,
      answerMs: this.#answerMs === null ? null : Math.round(this.#answerMs),
      lastFailure: this.#lastFailure,
    };
  }

  answered(afterMs: number): void {
    this.#failures = 0;
    this.#answerMs = this.#answerMs === null ? afterMs : this.#answerMs * 0.875 + afterMs * 0.125;
  }

  failed(why: string): void {
    this.#failures += 1;
    this.#lastFailure = why;
    const steps = Math.min(this.#failures - FAILURES_UNTIL_DOWN, 16);
    this.#downUntil = this.#clock.now() + Math.min(DOWN_MS.first * 2 ** Math.max(0, steps), DOWN_MS.max);
  }
}
