import { describe, expect, it } from "vitest";
import { ManualClock } from "../../../src/lib/manual-clock.ts";

describe("ManualClock", () => {
  it("rings alarms at their own instants, in order, also those set by alarms", () => {
    const clock = new ManualClock(0);
    const rung: string[] = [];
    clock.setAlarm(20, () => rung.push(`b at ${clock.now()}`));
    clock.setAlarm(10, () => {
      rung.push(`a at ${clock.now()}`);
      clock.setAlarm(15, () => rung.push(`c at ${clock.now()}`));
    });
    clock.advance(9);
    expect(rung).toEqual([]);
    clock.advance(91);
    expect(rung).toEqual(["a at 10", "c at 15", "b at 20"]);
    expect(clock.now()).toBe(100);
    expect(clock.nextAlarmAt).toBeNull();
  });

  it("does not ring what was cancelled", () => {
    const clock = new ManualClock(0);
    let rung = false;
    const alarm = clock.setAlarm(5, () => {
      rung = true;
    });
    expect(clock.nextAlarmAt).toBe(5);
    alarm.cancel();
    clock.advance(10);
    expect(rung).toBe(false);
  });

  it("rings once, by itself, what is already due", async () => {
    const clock = new ManualClock(100);
    let rung = 0;
    clock.setAlarm(50, () => {
      rung += 1;
    });
    expect(rung).toBe(0);
    await Promise.resolve();
    clock.advance(1000);
    expect(rung).toBe(1);
  });
});
