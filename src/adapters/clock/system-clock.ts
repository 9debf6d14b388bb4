import { readFileSync } from "node:fs";
import { uptime } from "node:os";
import { type BootTime, type Clock, isSameBoot } from "../../lib/clock.ts";

/** Node's timers stop in a suspend; waking at least this often notices within it that time has passed. */
const ALARM_CHUNK_MS = 1000;

/** Reading the boot time is a file read; its resolution is 10 ms anyway. */
const REREAD_MS = 5;

/** Identifies this boot of the machine: CLOCK_BOOTTIME starts anew with each. */
export function readBootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "unknown";
  }
}

/** CLOCK_BOOTTIME in milliseconds: counts on through a suspend, knows no wall clock. */
export function uptimeMs(): number {
  return Math.round(uptime() * 1000);
}

/** An instant of gateway time that was logged with the boot time it belonged to. */
export interface ClockAnchor extends BootTime {
  readonly at: number;
  /** The last logged instant: gateway time never falls below it. */
  readonly lastAt: number;
}

/** What a machine's own clocks say. */
export interface MachineTime extends BootTime {
  /** The wall clock, Unix milliseconds: may be wrong by years. */
  readonly wallMs: number;
}

/**
 * Gateway time at uptime 0. In the boot the log was last written in it goes on from there by CLOCK_BOOTTIME, whatever
 * the wall clock says now; after a reboot it is the wall clock, but never below the last logged instant.
 */
export function gatewayTimeBase(anchor: ClockAnchor | null, machine: MachineTime): number {
  const { uptimeMs, wallMs } = machine;
  if (anchor === null) return wallMs - uptimeMs;
  if (isSameBoot(anchor, machine)) {
    return Math.max(anchor.at - anchor.uptimeMs, anchor.lastAt - uptimeMs);
  }
  return Math.max(wallMs, anchor.lastAt) - uptimeMs;
}

/** Gateway time by the clocks of this machine. */
export class SystemClock implements Clock {
  readonly #base: number;
  #last = 0;
  #readAt = Number.NEGATIVE_INFINITY;

  constructor(anchor: ClockAnchor | null) {
    this.#base = gatewayTimeBase(anchor, { uptimeMs: uptimeMs(), bootId: readBootId(), wallMs: Date.now() });
  }

  now(): number {
    const monotonic = performance.now();
    if (monotonic - this.#readAt >= REREAD_MS) {
      this.#readAt = monotonic;
      this.#last = Math.max(this.#last, this.#base + uptimeMs());
    }
    return this.#last;
  }

  setAlarm(at: number, callback: () => void): { cancel(): void } {
    let timer: NodeJS.Timeout;
    const arm = (): void => {
      const left = at - this.now();
      timer = setTimeout(left <= ALARM_CHUNK_MS ? fire : arm, Math.max(0, Math.min(left, ALARM_CHUNK_MS)));
    };
    const fire = (): void => (this.now() >= at ? callback() : arm());
    arm();
    return { cancel: () => clearTimeout(timer) };
  }
}
