import type { Clock } from "../../lib/clock.ts";

/**
 * RFC 6886 §3.2.1, RFC 6887 §14.1.3: ten sends, a quarter of a second after the first, then each gap twice the last.
 * They are least gaps, so each counts from when the send before really was.
 */
const GAPS_MS: readonly number[] = [0, 250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000];

/** Says one thing again and again on the schedule of the RFCs. `send` makes the bytes anew each time: epochs move on. */
export class Announcement {
  readonly #clock: Clock;
  readonly #send: () => void;
  #sent = GAPS_MS.length;
  #alarm: { cancel(): void } | null = null;

  constructor(clock: Clock, send: () => void) {
    this.#clock = clock;
    this.#send = send;
  }

  /** Starts, or starts over: what is announced has changed again. */
  restart(): void {
    this.stop();
    this.#sent = 0;
    this.#next();
  }

  stop(): void {
    this.#alarm?.cancel();
    this.#alarm = null;
    this.#sent = GAPS_MS.length;
  }

  #next(): void {
    const gap = GAPS_MS[this.#sent];
    if (gap === undefined) return;
    this.#alarm = this.#clock.setAlarm(this.#clock.now() + gap, () => {
      this.#sent += 1;
      this.#send();
      this.#next();
    });
  }
}
