import { describe, expect, it } from "vitest";
import type { Verdict } from "../../../../src/adapters/dns-server/messages.ts";
import { ReplayMemory } from "../../../../src/adapters/dns-server/replay-memory.ts";

const done = (rcode = 0): Verdict => ({ kind: "answer", rcode, lease: null, message: "" });
const at = (
  timeSigned: number,
  signature = `m${timeSigned}`,
  device = "nas",
): { device: string; signature: string; timeSigned: number } => ({
  device,
  signature,
  timeSigned,
});

describe("a signed update that is heard again (T19)", () => {
  it("gets the answer there was, and is decided once", async () => {
    const memory = new ReplayMemory(0, 0);
    let decided = 0;
    const decide = async (): Promise<Verdict> => done((decided += 1));
    expect(await memory.verdictOf(at(100), 0, decide)).toEqual(done(1));
    expect(await memory.verdictOf(at(100), 3, decide)).toEqual(done(1));
    expect(await memory.verdictOf(at(100), 599, decide)).toEqual(done(1));
    expect(await memory.verdictOf(at(101), 3, decide)).toEqual(done(2));
    expect(await memory.verdictOf(at(100, "m100", "cam"), 3, decide)).toEqual(done(3));
  });

  it("waits for the answer while the first is under way", async () => {
    const memory = new ReplayMemory(0, 0);
    let decide: (verdict: Verdict) => void = () => undefined;
    const first = memory.verdictOf(at(100), 0, () => new Promise((resolve) => (decide = resolve)));
    const second = memory.verdictOf(at(100), 0, () => Promise.reject(new Error("decided twice")));
    decide(done(6));
    expect(await Promise.all([first, second])).toEqual([done(6), done(6)]);
  });

  it("may be decided again if it could not be decided", async () => {
    const memory = new ReplayMemory(0, 0);
    await expect(memory.verdictOf(at(100), 0, () => Promise.reject(new Error("disk")))).rejects.toThrow("disk");
    expect(await memory.verdictOf(at(100), 0, async () => done())).toEqual(done());
  });

  it("is stale if it was signed no later than the last change before the start, and unknown", async () => {
    const memory = new ReplayMemory(100, 100);
    const never = (): Promise<Verdict> => Promise.reject(new Error("decided"));
    for (const time of [99, 100]) expect(await memory.verdictOf(at(time), 0, never)).toEqual({ kind: "stale" });
    expect(await memory.verdictOf(at(101), 0, async () => done())).toEqual(done());
  });

  it("is stale if it may have been heard before the start, and its device has signed something since", async () => {
    const memory = new ReplayMemory(0, 200);
    const never = (): Promise<Verdict> => Promise.reject(new Error("decided"));
    // Who has a slow clock is heard, and so is a repetition that never came through.
    for (const time of [150, 160]) expect(await memory.verdictOf(at(time), 0, async () => done())).toEqual(done());
    // That nothing came of it then, and so nothing is in the log, does not mean that nothing would now.
    expect(await memory.verdictOf(at(155), 0, never)).toEqual({ kind: "stale" });
    expect(await memory.verdictOf(at(155, "m155", "cam"), 0, async () => done())).toEqual(done());
    // Since the start all is remembered, in whatever order it comes.
    for (const time of [210, 205]) expect(await memory.verdictOf(at(time), 0, async () => done())).toEqual(done());
    expect(await memory.verdictOf(at(199), 0, never)).toEqual({ kind: "stale" });
    expect(await memory.verdictOf(at(200), 0, async () => done())).toEqual(done());
  });

  it("is forgotten after twice the fudge, when no clock of ours takes it any more", async () => {
    const memory = new ReplayMemory(0, 0);
    await memory.verdictOf(at(100), 0, async () => done());
    await memory.verdictOf(at(800), 601, async () => done());
    expect(memory.size).toBe(1);
  });

  it("is never decided anew in the last second that its signature is taken", async () => {
    const memory = new ReplayMemory(0, 0);
    const device = (wall: number) => wall - 1000;
    // Signed 300 s ahead and heard at 1000.0; at 1600.9 the clock's second is 1600, and 1300 is within the fudge.
    await memory.verdictOf(at(1300), device(1000), async () => done(1));
    const never = (): Promise<Verdict> => Promise.reject(new Error("decided"));
    expect(await memory.verdictOf(at(1300), device(1600.9), never)).toEqual(done(1));
  });

  it("that had to make room for others is stale, never decided anew", async () => {
    const memory = new ReplayMemory(0, 0);
    for (let count = 0; count < 4100; count += 1) await memory.verdictOf(at(100 + count), 0, async () => done());
    expect(memory.size).toBe(4096);
    const never = (): Promise<Verdict> => Promise.reject(new Error("decided"));
    expect(await memory.verdictOf(at(100), 0, never)).toEqual({ kind: "stale" });
    expect(await memory.verdictOf(at(103), 0, never)).toEqual({ kind: "stale" });
    expect(await memory.verdictOf(at(104), 0, never)).toEqual(done());
    expect(await memory.verdictOf(at(100, "other", "cam"), 0, async () => done(5))).toEqual(done(5));
  });
});
