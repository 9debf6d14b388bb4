import { describe, expect, it, vi } from "vitest";
import { readBootId, SystemClock, uptimeMs } from "../../../../src/adapters/clock/system-clock.ts";

const HOUR = 3_600_000;

describe("SystemClock", () => {
  it("[P12] goes on from the logged instant within one boot, whatever the wall clock says", () => {
    const bootId = readBootId();
    const anchor = { at: 5 * HOUR, uptimeMs: uptimeMs() - 1000, bootId, lastAt: 5 * HOUR };
    const elapsed = new SystemClock(anchor).now() - anchor.at;
    expect(elapsed).toBeGreaterThanOrEqual(1000);
    expect(elapsed).toBeLessThan(10_000);
  });

  it("[P12] never falls below the last logged instant, also when a renewed clock is behind it", () => {
    const lastAt = Date.now() + 100 * HOUR;
    expect(new SystemClock({ at: 0, uptimeMs: 0, bootId: "another boot", lastAt }).now()).toBeGreaterThanOrEqual(
      lastAt,
    );
    const sameBoot = { at: 0, uptimeMs: uptimeMs(), bootId: readBootId(), lastAt: HOUR };
    expect(new SystemClock(sameBoot).now()).toBeGreaterThanOrEqual(HOUR);
  });

  it("a jump of the wall clock while it runs moves nothing", () => {
    const clock = new SystemClock(null);
    const before = clock.now();
    vi.spyOn(Date, "now").mockReturnValue(before + 10 * 365 * 24 * HOUR);
    expect(clock.now() - before).toBeLessThan(10_000);
    vi.restoreAllMocks();
  });

  it("rings an alarm at its time, and not after it was cancelled", async () => {
    const clock = new SystemClock(null);
    const rung: string[] = [];
    await new Promise<void>((resolve) => {
      clock.setAlarm(clock.now() + 5, () => rung.push("cancelled")).cancel();
      clock.setAlarm(clock.now() + 30, () => {
        rung.push("rung");
        resolve();
      });
    });
    expect(rung).toEqual(["rung"]);
  });
});
