export interface RetryKnobs {
  readonly minMs: number;
  readonly maxMs: number;
  readonly jitter: number;
}

/**
 * How long to wait after the `attempts`-th failure in a row: doubling from `minMs` to `maxMs`, shortened by up to the
 * share `jitter`, so that many rows that failed together do not all come back together. `random` is in [0, 1).
 */
export function backoffMs(attempts: number, knobs: RetryKnobs, random: () => number): number {
  // 2 ** 30 × any minMs is beyond every maxMs; without the cap a row that failed for weeks would overflow to Infinity.
  const doubled = knobs.minMs * 2 ** Math.min(attempts - 1, 30);
  return Math.max(1, Math.round(Math.min(knobs.maxMs, doubled) * (1 - knobs.jitter * random())));
}
