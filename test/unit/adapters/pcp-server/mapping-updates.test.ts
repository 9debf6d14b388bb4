import { beforeEach, describe, expect, it } from "vitest";
import { MappingUpdates } from "../../../../src/adapters/pcp-server/mapping-updates.ts";
import { ManualClock } from "../../../../src/lib/manual-clock.ts";

describe("mapping updates", () => {
  let clock: ManualClock;
  let sent: { key: string; at: number }[];
  let gone: Set<string>;
  let updates: MappingUpdates;

  beforeEach(() => {
    clock = new ManualClock(0);
    sent = [];
    gone = new Set();
    updates = new MappingUpdates(clock, (key) => {
      if (gone.has(key)) return false;
      sent.push({ key, at: clock.now() });
      return true;
    });
  });

  const advance = async (byMs: number): Promise<void> => {
    await Promise.resolve();
    clock.advance(byMs);
  };
  const timesOf = (key: string): number[] => sent.filter((each) => each.key === key).map(({ at }) => at);

  it("PCP-S-66 go out three times, 250 and then 500 ms apart", async () => {
    updates.start(["a", "b"]);
    await advance(100_000);
    expect(timesOf("a")).toEqual([0, 250, 750]);
    expect(timesOf("b")).toEqual([0, 250, 750]);
    expect(clock.nextAlarmAt).toBeNull();
  });

  it("PCP-S-66 stop for a client that has refreshed", async () => {
    updates.start(["a", "b"]);
    await advance(300);
    updates.refreshed("a");
    await advance(100_000);
    expect(timesOf("a")).toEqual([0, 250]);
    expect(timesOf("b")).toEqual([0, 250, 750]);
  });

  it("stop for a claim that is gone", async () => {
    updates.start(["a", "b"]);
    await advance(100);
    gone.add("a");
    await advance(100_000);
    expect(timesOf("a")).toEqual([0]);
    expect(timesOf("b")).toHaveLength(3);
  });

  it("start over at a further change", async () => {
    updates.start(["a"]);
    await advance(300);
    updates.start(["a", "b"]);
    await advance(100_000);
    expect(timesOf("a")).toEqual([0, 250, 300, 550, 1050]);
    expect(timesOf("b")).toEqual([300, 550, 1050]);
  });

  it("go on for those still waiting when others join", async () => {
    updates.start(["a"]);
    await advance(100);
    updates.start(["b"]);
    await advance(100_000);
    expect(timesOf("a").slice(-3)).toEqual([100, 350, 850]);
    expect(timesOf("b")).toEqual([100, 350, 850]);
  });

  it("are paced: never more than 500 a second, yet everyone is told three times, no gap too short", async () => {
    const keys = Array.from({ length: 2000 }, (_, index) => `claim ${index}`);
    updates.start(keys);
    await advance(100_000);
    expect(sent).toHaveLength(6000);
    for (const key of keys) {
      const [first = 0, second = 0, third = 0] = timesOf(key);
      expect(second - first).toBeGreaterThanOrEqual(250);
      expect(third - second).toBeGreaterThanOrEqual(500);
    }
    const seconds = new Map<number, number>();
    for (const { at } of sent) seconds.set(Math.floor(at / 1000), (seconds.get(Math.floor(at / 1000)) ?? 0) + 1);
    expect(Math.max(...seconds.values())).toBeLessThanOrEqual(500);
  });
});
