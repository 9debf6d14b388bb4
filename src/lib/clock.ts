/** CLOCK_BOOTTIME as it was read in one boot of a machine. */
export interface BootTime {
  /** "unknown" where the kernel does not tell. */
  readonly bootId: string;
  readonly uptimeMs: number;
}

/** Whether boot time went on from `before` to `now`: a container may see another one under the same boot id. */
export const isSameBoot = (before: BootTime, now: BootTime): boolean =>
  before.bootId === now.bootId && now.bootId !== "unknown" && now.uptimeMs >= before.uptimeMs;

/**
 * The one source of time. `now()` is gateway time: Unix milliseconds that follow CLOCK_BOOTTIME, so a suspend counts
 * and a jump of the wall clock does not, and that never fall below the last logged instant.
 */
export interface Clock {
  now(): number;
  /** Calls back once at or after gateway time `at`, also when that is already past. Not called after `cancel`. */
  setAlarm(at: number, callback: () => void): { cancel(): void };
}
