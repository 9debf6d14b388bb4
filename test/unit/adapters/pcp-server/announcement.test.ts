import { beforeEach, describe, expect, it } from "vitest";
import { Announcement } from "../../../../src/adapters/pcp-server/announcement.ts";
import { ManualClock } from "../../../../src/lib/manual-clock.ts";

/** RFC 6886 §3.2.1: ten times, the second 250 ms after the first, each interval twice the one before. */
const SCHEDULE = [0, 250, 750, 1750, 3750, 7750, 15_750, 31_750, 63_750, 127_750];

describe("announcement", () => {
  let clock: ManualClock;
  let sentAt: number[];
  let announcement: Announcement;

  beforeEach(() => {
    clock = new ManualClock(0);
    sentAt = [];
    announcement = new Announcement(clock, () => sentAt.push(clock.now()));
  });

  /** Alarms already due ring in a microtask. */
  const advance = async (byMs: number): Promise<void> => {
    await Promise.resolve();
    clock.advance(byMs);
  };

  it("NPMP-S-15 PCP-S-65 is sent ten times on the schedule of the RFCs, and no more", async () => {
    announcement.restart();
    await advance(10_000_000);
    expect(sentAt).toEqual(SCHEDULE);
    expect(clock.nextAlarmAt).toBeNull();
  });

  it("starts over when what it says has changed again", async () => {
    announcement.restart();
    await advance(2000);
    announcement.restart();
    await advance(10_000_000);
    expect(sentAt).toEqual([0, 250, 750, 1750, ...SCHEDULE.map((at) => at + 2000)]);
  });

  it("keeps each interval when a send was late: the RFCs give least ones", () => {
    const alarms: { at: number; callback: () => void }[] = [];
    let now = 0;
    const late = new Announcement(
      {
        now: () => now,
        setAlarm: (at, callback) => {
          alarms.push({ at, callback });
          return { cancel: () => undefined };
        },
      },
      () => undefined,
    );
    late.restart();
    for (const expected of [0, 250, 500]) {
      const alarm = alarms.pop();
      expect(alarm?.at).toBe(now + expected);
      now += expected + 200;
      alarm?.callback();
    }
  });

  it("says nothing after it was stopped", async () => {
    announcement.restart();
    await advance(300);
    announcement.stop();
    await advance(10_000_000);
    expect(sentAt).toEqual([0, 250]);
  });
});
