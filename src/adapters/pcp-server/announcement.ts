import type { Clock } from "../../lib/clock.ts";

/** RFC 6886 §3.2.1, RFC 6887 §14.1.3: ten sends, a quarter of a second after the first, then each gap twice the last. */
const OFFSETS_MS: readonly number[] = [0, 250, 750, 1750, 3750, 7750, 15_750, 31_750, 63_750, 127_750];

/** Says one thing again and again on the schedule of the RFCs. `send` makes the bytes anew each time: epochs move on. */
export class Announcement {
  readonly #clock: Clock;
  readonly #send: () => void;
  #startedAt = 0;
  #sent = OFFSETS_MS.length;
  #alarm: { cancel(): void } | null = null;

  constructor(clock: Clock, send: () => void) {
    this.#clock = clock;
    this.#send = send;
  }

  /** Starts, or starts over: what is announced has changed again. */
  restart(): void {
    this.stop();
    this.#startedAt = this.#clock.now();
    this.#sent = 0;
    this.#next();
  }

  stop(): void {
    this.#alarm?.cancel();
    this.#alarm = null;
    this.#sent = OFFSETS_MS.length;
  }

  #next(): void {
    const offset = OFFSETS_MS[this.#sent];
    if (offset === undefined) return;
    this.#alarm = this.#clock.setAlarm(this.#startedAt + offset, () => {
      this.#sent += 1;
      this.#send();
      this.#next();
    });
  }
}
