import { type ClockAnchor, gatewayTimeBase } from "../../src/adapters/clock/system-clock.ts";
import type { Clock } from "../../src/lib/clock.ts";
import { ManualClock } from "../../src/lib/manual-clock.ts";

const FIRST_UPTIME_MS = 90_000;
const FIRST_WALL_MS = 1_800_000_000_000;

/** A computer: its uptime (CLOCK_BOOTTIME), a wall clock that may be set to anything, and boots. */
export class Machine {
  #uptime = new ManualClock(FIRST_UPTIME_MS);
  #wallAtZero = FIRST_WALL_MS - FIRST_UPTIME_MS;
  #boots = 1;

  get uptimeMs(): number {
    return this.#uptime.now();
  }

  get wallMs(): number {
    return this.#wallAtZero + this.uptimeMs;
  }

  get bootId(): string {
    return `boot-${this.#boots}`;
  }

  get nextAlarmAt(): number | null {
    return this.#uptime.nextAlarmAt;
  }

  setAlarm(atUptime: number, callback: () => void): { cancel(): void } {
    return this.#uptime.setAlarm(atUptime, callback);
  }

  advanceTo(uptimeMs: number): void {
    this.#uptime.advance(Math.max(0, uptimeMs - this.uptimeMs));
  }

  stepWallClock(byMs: number): void {
    this.#wallAtZero += byMs;
  }

  /** Whatever ran is gone, with its alarms. The wall clock goes on from `wallMs`: a board without a battery forgets it. */
  reboot(wallMs: number): void {
    this.#boots += 1;
    this.#uptime = new ManualClock(FIRST_UPTIME_MS);
    this.#wallAtZero = wallMs - FIRST_UPTIME_MS;
  }
}

/** Gateway time of one process on it, by the rule of the real one; a dead process hears no alarm. */
export class GatewayClock implements Clock {
  readonly #machine: Machine;
  readonly #base: number;
  readonly #alive: () => boolean;

  constructor(machine: Machine, anchor: ClockAnchor | null, alive: () => boolean) {
    this.#machine = machine;
    this.#base = gatewayTimeBase(anchor, machine);
    this.#alive = alive;
  }

  now(): number {
    return this.#base + this.#machine.uptimeMs;
  }

  setAlarm(at: number, callback: () => void): { cancel(): void } {
    return this.#machine.setAlarm(at - this.#base, () => {
      if (this.#alive()) callback();
    });
  }
}
