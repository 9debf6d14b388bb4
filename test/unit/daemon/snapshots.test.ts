import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { State } from "../../../src/reducers/state.ts";
import { initialState } from "../../../src/reducers/state.ts";
import { SnapshotSchedule } from "../../../src/daemon/snapshots.ts";

const MINUTE = 60_000;

/** A controller whose state is a number, and a keeper that does as it is told. */
class Rig {
  state: State = initialState();
  listeners = new Set<() => void>();
  made: number[] = [];
  compactions: number[] = [];
  archivable = 0;
  failing = false;
  gate: Promise<void> = Promise.resolve();
  errors: unknown[] = [];
  done: { seq: number; archived: number }[] = [];
  readonly schedule: SnapshotSchedule;

  constructor(covered: number, seq = covered) {
    this.state = { ...this.state, seq };
    const rest = { at: 0, chainHash: "", reducerVersion: 1 };
    this.schedule = new SnapshotSchedule({
      keeper: {
        list: () => Promise.resolve(covered === 0 ? [] : [{ ...rest, seq: covered }]),
        create: async () => {
          const { seq } = this.state;
          await this.gate;
          if (this.failing) throw new Error("the disk is full");
          this.made.push(seq);
          return { ...rest, seq };
        },
        compact: () => {
          const batch = Math.min(100, this.archivable);
          this.archivable -= batch;
          this.compactions.push(batch);
          return Promise.resolve(batch);
        },
      },
      controller: {
        get state() {
          return rig.state;
        },
        subscribe: (listener) => {
          const call = () => listener(this.state, []);
          this.listeners.add(call);
          return { close: () => this.listeners.delete(call) };
        },
      },
      retain: { events: 1000, days: 365 },
      now: () => 0,
      onDone: (done) => this.done.push(done),
      onError: (cause) => this.errors.push(cause),
    });
  }

  commit(events: number): void {
    this.state = { ...this.state, seq: this.state.seq + events };
    for (const listener of this.listeners) listener();
  }
}

let rig: Rig;
beforeEach(() => void vi.useFakeTimers());
afterEach(async () => {
  await rig.schedule.close();
  vi.useRealTimers();
});

/** Lets everything that waits for nothing but its turn happen. */
const settle = () => vi.advanceTimersByTimeAsync(0);

describe("SnapshotSchedule", () => {
  it("[E7] makes a snapshot after 10,000 events, whatever the time", async () => {
    rig = new Rig(50);
    await rig.schedule.start();
    await settle();
    rig.commit(9999);
    await settle();
    expect(rig.made).toEqual([]);
    rig.commit(1);
    await settle();
    expect(rig.made).toEqual([10_050]);
    expect(vi.getTimerCount(), "nothing is uncovered").toBe(0);
  });

  it("[E7] makes one five minutes after the first event that none covers, and none while nothing happens", async () => {
    rig = new Rig(50);
    await rig.schedule.start();
    await vi.advanceTimersByTimeAsync(60 * MINUTE);
    expect(rig.made).toEqual([]);
    rig.commit(1);
    await vi.advanceTimersByTimeAsync(4 * MINUTE);
    rig.commit(1);
    expect(rig.made).toEqual([]);
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(rig.made).toEqual([52]);
    await vi.advanceTimersByTimeAsync(60 * MINUTE);
    expect(rig.made).toEqual([52]);
  });

  it("makes one at once for a tail that a start found without one", async () => {
    rig = new Rig(0, 12_000);
    await rig.schedule.start();
    await settle();
    expect(rig.made).toEqual([12_000]);
  });

  it("[E7] archives at the start and after each snapshot, until nothing more may go", async () => {
    rig = new Rig(10);
    rig.archivable = 250;
    await rig.schedule.start();
    await settle();
    expect(rig.compactions).toEqual([100, 100, 50, 0]);
    rig.archivable = 150;
    rig.commit(10_000);
    await settle();
    expect(rig.done).toEqual([{ seq: 10_010, archived: 150 }]);
  });

  it("makes one at a time, and the next for what came meanwhile", async () => {
    rig = new Rig(0);
    await rig.schedule.start();
    await settle();
    let open = (): void => {};
    rig.gate = new Promise((resolve) => {
      open = resolve;
    });
    rig.commit(10_000);
    rig.commit(15_000);
    await settle();
    expect(rig.made).toEqual([]);
    open();
    await settle();
    expect(rig.made).toEqual([10_000, 25_000]);
  });

  it("[F6] says when one could not be made, and tries again when the next is due", async () => {
    rig = new Rig(0);
    await rig.schedule.start();
    await settle();
    rig.failing = true;
    rig.commit(10_000);
    await settle();
    expect(rig.errors).toHaveLength(1);
    rig.failing = false;
    rig.commit(1);
    await vi.advanceTimersByTimeAsync(5 * MINUTE);
    expect(rig.made).toEqual([10_001]);
  });

  it("ends what it is doing and then stays quiet", async () => {
    rig = new Rig(0);
    await rig.schedule.start();
    rig.commit(5);
    await rig.schedule.close();
    await vi.advanceTimersByTimeAsync(60 * MINUTE);
    expect(rig.made).toEqual([]);
    expect(rig.listeners.size).toBe(0);
  });
});
