/**
 * The one source of time. `now()` is gateway time: Unix milliseconds that follow CLOCK_BOOTTIME, so a suspend counts
 * and a jump of the wall clock does not, and that never fall below the last logged instant.
 */
export interface Clock {
  now(): number;
  /** Calls back once at or after gateway time `at`, also when that is already past. Not called after `cancel`. */
  setAlarm(at: number, callback: () => void): { cancel(): void };
}
