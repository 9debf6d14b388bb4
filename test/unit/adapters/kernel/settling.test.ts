import { describe, expect, it } from "vitest";
import { Settling } from "../../../../src/adapters/kernel/settling.ts";

/** An interface as it is recorded, and a look at it each 100 ms with hints in between, as a monitor gives them. */
function observe(eager: boolean, isUp: (ms: number) => boolean, untilMs: number): { ms: number; up: boolean }[] {
  const settling = new Settling();
  const told: { ms: number; up: boolean }[] = [];
  let recorded = "true";
  let last = true;
  for (let ms = 0; ms <= untilMs; ms += 10) {
    const up = isUp(ms);
    if (up !== last) settling.hint("wan0", ms);
    last = up;
    if (ms % 100 !== 0) continue;
    if (settling.look("wan0", { seen: String(up), recorded, eager }, ms) !== 0) continue;
    recorded = String(up);
    told.push({ ms, up });
  }
  return told;
}

/** Down for the first half of each 100 ms from 1 s to 11 s: every look falls on a moment when it is down. */
const flapping = (ms: number): boolean => ms < 1000 || ms >= 11_000 || ms % 100 >= 50;

describe("Settling", () => {
  it("[F24] believes nothing of a flapping that every look misses, and nothing after one that ends as it began", () => {
    expect(observe(false, flapping, 15_000)).toEqual([]);
  });

  it("[F24] tells an eager one at once, and once more when it has come to rest", () => {
    expect(observe(true, flapping, 15_000)).toEqual([
      { ms: 1000, up: false },
      { ms: 13_000, up: true },
    ]);
  });

  it("believes a change after two quiet seconds, and the way back as well", () => {
    const told = observe(false, (ms) => ms < 1000 || ms >= 5000, 10_000);
    expect(told).toEqual([
      { ms: 3000, up: false },
      { ms: 7000, up: true },
    ]);
  });

  it("believes one that never rests after thirty seconds", () => {
    expect(observe(false, (ms) => ms < 1000 || ms % 100 >= 50, 40_000)).toEqual([{ ms: 31_000, up: false }]);
  });

  it("an eager one is told at once again after a rest", () => {
    const told = observe(true, (ms) => ms < 1000 || (ms >= 4000 && ms < 8000), 9000);
    expect(told.map(({ ms }) => ms)).toEqual([1000, 4000, 8000]);
  });
});
