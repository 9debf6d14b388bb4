import { from, Subject } from "rxjs";
import type { Clock } from "../../lib/clock.ts";
import { conflateMap } from "./conflate.ts";

/**
 * What wakes the engine, and why. Any number of wakes while a turn runs make one more; their reasons add up. The alarm
 * is for what time brings: whoever sets it names the earliest thing that is due.
 */
export class Trigger {
  readonly #clock: Clock;
  readonly #wakes = new Subject<void>();
  readonly #reasons = new Set<string>();
  #alarm: { cancel(): void } | null = null;
  #lag: { cancel(): void } | null = null;
  #closed = false;

  /** A `turn` that rejects is a bug: it ends the process (rxjs throws what nobody handles). */
  constructor(clock: Clock, turn: () => Promise<void>) {
    this.#clock = clock;
    // A microtask later, so that all that is committed in one go shares one pass.
    this.#wakes.pipe(conflateMap(() => from(Promise.resolve().then(turn)))).subscribe();
  }

  /** Without a reason: a turn that need not lead to a pass. */
  wake(reason?: string): void {
    if (this.#closed) return;
    if (reason !== undefined) this.#reasons.add(reason);
    this.#wakes.next();
  }

  /** At once, or together with what else comes within so many milliseconds. */
  wakeWithin(ms: number, reason: string): void {
    if (ms === 0) return this.wake(reason);
    if (this.#closed) return;
    this.#lag ??= this.#clock.setAlarm(this.#clock.now() + ms, () => {
      this.#lag = null;
      this.wake(reason);
    });
  }

  get hasReasons(): boolean {
    return this.#reasons.size > 0;
  }

  /** The reasons since the last call. */
  takeReasons(): readonly string[] {
    const reasons = [...this.#reasons];
    this.#reasons.clear();
    return reasons;
  }

  /** Replaces the alarm. */
  wakeAt(at: number, reason: string): void {
    this.#alarm?.cancel();
    this.#alarm = this.#closed ? null : this.#clock.setAlarm(at, () => this.wake(reason));
  }

  close(): void {
    this.#closed = true;
    this.#alarm?.cancel();
    this.#lag?.cancel();
    this.#wakes.complete();
  }
}
