import { describe, expect, it } from "vitest";
import { LeaseClock } from "../../../../src/adapters/clock/lease-clock.ts";
import type { ControllerPort, SubmissionInput } from "../../../../src/controller/port.ts";
import { ManualClock } from "../../../../src/lib/manual-clock.ts";
import type { Outcome } from "../../../../src/reducers/decide/command.ts";

const DONE: Outcome = { ok: true, seq: 1, changed: false, answer: { kind: "done" } };
const FULL: Outcome = { ok: false, refusal: { code: "LOG_WRITE_FAILED", message: "disk full" } };

function rig(answer: () => Outcome, next: () => number | null) {
  const clock = new ManualClock(1_000_000);
  const submitted: string[] = [];
  const submit = (command: SubmissionInput): Promise<Outcome> => {
    submitted.push(command.type);
    return Promise.resolve(answer());
  };
  const leaseClock = new LeaseClock(
    { submit } as unknown as ControllerPort,
    { leases: { next }, devices: { next: () => null } },
    clock,
  );
  /** Time in steps, with the promises of each tick run out between. */
  const pass = async (ms: number): Promise<void> => {
    for (let gone = 0; gone < ms; gone += 250) {
      clock.advance(250);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  leaseClock.start();
  return { clock, submitted, leaseClock, pass };
}

describe("LeaseClock", () => {
  it("[P12] asks for nothing while nothing is due, and at once when something is", async () => {
    let due = Number.POSITIVE_INFINITY;
    const { clock, submitted, leaseClock, pass } = rig(
      () => DONE,
      () => due,
    );
    await pass(5000);
    expect(submitted).toEqual([]);
    due = clock.now() + 200;
    await pass(250);
    expect(submitted).toEqual(["leases.expire"]);
    leaseClock.close();
  });

  it("[P12] writes moved deadlines once a minute", async () => {
    const { submitted, leaseClock, pass } = rig(
      () => DONE,
      () => null,
    );
    await pass(180_000);
    expect(submitted).toEqual(["leases.checkpoint", "leases.checkpoint", "leases.checkpoint"]);
    leaseClock.close();
  });

  it("does not hammer a log that cannot be written, and goes on when it can", async () => {
    let answer: Outcome = FULL;
    const { submitted, leaseClock, pass } = rig(
      () => answer,
      () => 0,
    );
    await pass(20_000);
    expect(submitted.length).toBeLessThanOrEqual(4);
    answer = DONE;
    await pass(5000);
    expect(submitted.length).toBeGreaterThan(4);
    leaseClock.close();
  });

  it("is silent once closed", async () => {
    const { submitted, leaseClock, pass } = rig(
      () => DONE,
      () => 0,
    );
    leaseClock.close();
    await pass(5000);
    expect(submitted).toEqual([]);
  });
});
