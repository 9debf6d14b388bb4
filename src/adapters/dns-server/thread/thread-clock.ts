import { uptime } from "node:os";
import type { Clock } from "../../../lib/clock.ts";

/** A suspend, which timers do not see, is noticed within this. */
const SUSPEND_CHECK_MS = 1000;

/** Time as what is remembered for a while needs it: never back, and on through a suspend. */
export class ThreadClock implements Clock {
  readonly #timer: NodeJS.Timeout;
  #suspendedMs = 0;

  constructor() {
    const start = uptime() * 1000 - performance.now();
    this.#timer = setInterval(() => {
      this.#suspendedMs = Math.max(this.#suspendedMs, uptime() * 1000 - performance.now() - start);
    }, SUSPEND_CHECK_MS);
    this.#timer.unref();
  }

  now(): number {
    return performance.timeOrigin + performance.now() + this.#suspendedMs;
  }

  setAlarm(at: number, callback: () => void): { cancel(): void } {
    const timer = setTimeout(callback, Math.max(0, at - this.now()));
    return { cancel: () => clearTimeout(timer) };
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
