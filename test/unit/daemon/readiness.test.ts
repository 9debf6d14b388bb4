import { describe, expect, it } from "vitest";
import { ManualClock } from "../../../src/lib/manual-clock.ts";
import { Readiness } from "../../../src/daemon/readiness.ts";
import type { Health, Reconciler } from "../../../src/reconcilers/contract.ts";

const health: Health = {
  level: "ok",
  message: "in sync",
  lastSuccessAt: 0,
  failingSince: null,
  errorsCurrent: 0,
  heldBack: 0,
};

function withReconciler(current: () => Health): { clock: ManualClock; readiness: Readiness } {
  const clock = new ManualClock(1_000_000);
  const reconciler = {
    name: "nftables-forwards",
    get health() {
      return current();
    },
  } as Reconciler;
  return { clock, readiness: new Readiness(clock, [reconciler]) };
}

describe("Readiness", () => {
  it("[A7] is not ready until something can be promised, and says why", () => {
    const { readiness } = withReconciler(() => health);
    expect(readiness.check()).toEqual({ ready: false, reasons: ["the controller is starting"] });
    readiness.bar(null);
    expect(readiness.check()).toEqual({ ready: true, reasons: [] });
    readiness.bar("safe mode: record 7 is damaged");
    expect(readiness.check().ready).toBe(false);
  });

  it("[A7] stays ready through a minute of trouble, named meanwhile, and no longer", () => {
    const { clock, readiness } = withReconciler(() => health);
    readiness.bar(null);
    readiness.failed("event log", "disk full");
    clock.advance(60_000);
    readiness.failed("event log", "still full");
    expect(readiness.check()).toEqual({ ready: true, reasons: ["event log: still full"] });
    clock.advance(1);
    expect(readiness.check().ready).toBe(false);
    readiness.recovered("event log");
    expect(readiness.check()).toEqual({ ready: true, reasons: [] });
  });

  it("[A7] counts a reconciler whose passes have been failing", () => {
    let current = health;
    const { clock, readiness } = withReconciler(() => current);
    readiness.bar(null);
    current = { ...health, level: "degraded", message: "nft refuses", failingSince: clock.now() };
    clock.advance(60_001);
    expect(readiness.check()).toEqual({ ready: false, reasons: ["nftables-forwards: nft refuses"] });
  });
});
