import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backoffMs } from "../../../../src/reconcilers/engine/retry.ts";

const knobs = { minMs: 100, maxMs: 10_000, jitter: 0.5 };

describe("backoffMs", () => {
  it("doubles from the least to the most", () => {
    const waits = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((attempts) => backoffMs(attempts, knobs, () => 0));
    expect(waits).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
  });

  it("is shortened by jitter, by no more than its share", () => {
    expect(backoffMs(3, knobs, () => 0.5)).toBe(300);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5000 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (n, r) => {
          const full = backoffMs(n, knobs, () => 0);
          const wait = backoffMs(n, knobs, () => r);
          expect(wait).toBeLessThanOrEqual(full);
          expect(wait).toBeGreaterThanOrEqual(full / 2);
        },
      ),
    );
  });
});
