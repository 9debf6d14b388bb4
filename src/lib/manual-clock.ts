import type { Clock } from "./clock.ts";

interface Alarm {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

/** A clock that stands still until told: tests and simulations own the time. */
export class ManualClock implements Clock {
  #now: number;
  #order = 0;
  readonly #alarms = new Set<Alarm>();

  constructor(now = 1_700_000_000_000) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  /** An alarm that is already due rings in a microtask, without any `advance`. */
  setAlarm(at: number, callback: () => void): { cancel(): void } {
    const alarm: Alarm = { at, order: this.#order, callback };
    this.#order += 1;
    this.#alarms.add(alarm);
    if (at <= this.#now) queueMicrotask(() => this.#ring(alarm));
    return { cancel: () => void this.#alarms.delete(alarm) };
  }

  /** When the earliest alarm that is set will ring; null if there is none. */
  get nextAlarmAt(): number | null {
    return this.#earliest(Number.POSITIVE_INFINITY)?.at ?? null;
  }

  /** Moves time, ringing what becomes due at its own instant, in order. Promises a callback settles run later. */
  advance(byMs: number): void {
    const end = this.#now + byMs;
    for (let due = this.#earliest(end); due !== undefined; due = this.#earliest(end)) {
      this.#now = Math.max(this.#now, due.at);
      this.#ring(due);
    }
    this.#now = end;
  }

  #earliest(until: number): Alarm | undefined {
    let found: Alarm | undefined;
    for (const alarm of this.#alarms) {
      if (alarm.at > until) continue;
      if (found === undefined || alarm.at < found.at || (alarm.at === found.at && alarm.order < found.order)) {
        found = alarm;
      }
    }
    return found;
  }

  #ring(alarm: Alarm): void {
    if (this.#alarms.delete(alarm)) alarm.callback();
  }
}
