import { describe, expect, it } from "vitest";
import type { ReconcileError, Settlement } from "../../../../src/reconcilers/contract.ts";
import { makeRig, NEVER, quiet, rowsNamed, wanted } from "./rig.ts";

const busy: ReconcileError = { code: "EBUSY", message: "try later", disposition: "transient" };
const invalid: ReconcileError = { code: "EINVAL", message: "never", disposition: "terminal" };

async function started(...options: Parameters<typeof makeRig>) {
  const rig = makeRig(...options);
  await rig.reconciler.start();
  return rig;
}

/** Whether a promise has ended, and how; never waits for it. */
function watchPromise<T>(promise: Promise<T>): { state: "waiting" | "resolved" | "rejected"; value: T | null } {
  const watched: { state: "waiting" | "resolved" | "rejected"; value: T | null } = { state: "waiting", value: null };
  promise.then(
    (value) => {
      watched.state = "resolved";
      watched.value = value;
    },
    () => {
      watched.state = "rejected";
    },
  );
  return watched;
}

describe("a reconciler that starts", () => {
  it("makes the target what the state wants, in one pass", async () => {
    const rig = makeRig();
    rig.states.commit(rowsNamed("a", 3));
    rig.target.rows.set("old", { slot: 9, value: "old" });
    const report = await rig.reconciler.start();
    expect(Object.fromEntries(rig.target.rows)).toEqual(wanted(rig.states));
    expect(report).toMatchObject({ created: 3, updated: 0, deleted: 1, failed: 0, error: null, through: 1 });
    expect(report.reasons).toEqual(["start"]);
    expect(report.observedFresh).toBe(true);
    expect(report.driftBy).toBeNull();
  });

  it("says that it is stopped before, and ok after", async () => {
    const rig = makeRig();
    expect(rig.reconciler.health).toMatchObject({ level: "stopped", lastSuccessAt: null });
    const first = rig.reconciler.start();
    expect(rig.reconciler.health.level).toBe("degraded");
    await first;
    expect(rig.reconciler.health).toMatchObject({ level: "ok", lastSuccessAt: rig.clock.now(), failingSince: null });
  });

  it("resolves with a report when the target cannot be read, and goes on by itself", async () => {
    const rig = makeRig();
    rig.states.commit(rowsNamed("a", 1));
    rig.target.faults.push("reject observe");
    const report = await rig.reconciler.start();
    expect(report.error).toBe("cannot list");
    rig.clock.advance(100);
    await quiet();
    expect(rig.target.rows.size).toBe(1);
  });
});

describe("a change of state", () => {
  it("is applied without any time passing", async () => {
    const rig = await started();
    rig.states.commit({ a: { slot: 1, value: "x" } });
    await quiet();
    rig.states.commit({ a: { slot: 1, value: "y" } });
    await quiet();
    rig.states.commit({ a: null });
    await quiet();
    expect(rig.target.applied.map(({ op, key }) => `${op} ${key}`)).toEqual(["create a", "update a", "delete a"]);
    expect(rig.reconciler.passes.slice(1).map((pass) => pass.reasons)).toEqual([["state"], ["state"], ["state"]]);
  });

  it("is applied also when it brings back what was just removed", async () => {
    const rig = await started();
    for (const row of [{ slot: 1, value: "x" }, null, { slot: 1, value: "x" }]) {
      rig.states.commit({ a: row });
      await quiet();
    }
    expect(Object.fromEntries(rig.target.rows)).toEqual(wanted(rig.states));
    expect(rig.target.rows.size).toBe(1);
  });

  it("shares one pass with all that is committed in the same go", async () => {
    const rig = await started();
    for (let slot = 0; slot < 5; slot += 1) rig.states.commit({ [`k${slot}`]: { slot, value: "x" } });
    await quiet();
    expect(rig.target.plans.length).toBe(1);
    expect(rig.target.rows.size).toBe(5);
  });

  it("while a pass runs waits for its end, and the last one is never lost", async () => {
    const rig = await started();
    const open = rig.target.hold();
    rig.states.commit({ a: { slot: 1, value: "1" } });
    await quiet();
    for (const value of ["2", "3", "4"]) {
      rig.states.commit({ a: { slot: 1, value } });
      await quiet();
    }
    open();
    await quiet();
    expect(rig.target.plans.map((plan) => plan.length)).toEqual([1, 1]);
    expect(rig.target.rows.get("a")?.value).toBe("4");
    expect(rig.target.callsAtOnceMax).toBe(1);
  });

  it("that may lag shares one pass with what comes within that time, and holds up no repair", async () => {
    const rig = await started({ definition: { lagMs: 100 } });
    const passes = rig.reconciler.passes.length;
    rig.states.commit({ a: { slot: 1, value: "x" } });
    rig.clock.advance(60);
    const seq = rig.states.commit({ b: { slot: 2, value: "x" } });
    const settled = watchPromise(rig.reconciler.settled(seq, NEVER));
    await quiet();
    expect([rig.target.rows.size, settled.state]).toEqual([0, "waiting"]);
    rig.clock.advance(40);
    await quiet();
    expect(Object.fromEntries(rig.target.rows)).toEqual(wanted(rig.states));
    expect([settled.state, rig.reconciler.passes.length]).toEqual(["resolved", passes + 1]);

    rig.target.tamper("intruder", (rows) => rows.delete("a"));
    await quiet();
    expect(rig.target.rows.size).toBe(2);

    rig.states.commit({ c: { slot: 3, value: "x" } });
    await rig.reconciler.close();
    expect(rig.clock.nextAlarmAt).toBeNull();
  });

  it("that may have changed any row never lags", async () => {
    const rig = await started({ definition: { lagMs: 100 } });
    rig.states.forgetAncestors();
    rig.states.commit({ a: { slot: 1, value: "x" } });
    await quiet();
    expect(rig.target.rows.size).toBe(1);
  });

  it("that wants no other row settles without a pass", async () => {
    const rig = await started();
    rig.states.commit({ a: { slot: 1, value: "x" } });
    await quiet();
    const passes = rig.reconciler.passes.length;
    await rig.reconciler.settled(rig.states.commit({}), NEVER);
    await quiet();
    expect(rig.reconciler.passes.length).toBe(passes);
  });

  it("lets a row take the place of one that goes in the same plan", async () => {
    const rig = await started();
    rig.states.commit({ z: { slot: 1, value: "z" } });
    await quiet();
    rig.states.commit({ z: null, a: { slot: 1, value: "a" } });
    await quiet();
    expect([...rig.target.rows.keys()]).toEqual(["a"]);
    expect(rig.reconciler.passes.at(-1)?.failed).toBe(0);
  });
});

describe("status", () => {
  it("goes from pending to done, and is gone with the row", async () => {
    const rig = await started();
    const seq = rig.states.commit({ a: { slot: 1, value: "x" } });
    expect(rig.reconciler.status("a")).toMatchObject({ kind: "pending", revision: seq });
    await quiet();
    expect(rig.reconciler.status("a")).toMatchObject({ kind: "done", revision: seq, attempts: 0, error: null });
    rig.states.commit({ a: null });
    await quiet();
    expect(rig.reconciler.status("a")).toBeUndefined();
    expect(rig.reconciler.status("nobody")).toBeUndefined();
  });

  it("of a refused row tells the error and when it is tried again, while the others are done", async () => {
    const rig = await started();
    rig.target.refused.set("bad", busy);
    const seq = rig.states.commit({ bad: { slot: 1, value: "x" }, good: { slot: 2, value: "x" } });
    await quiet();
    expect(rig.reconciler.status("good")?.kind).toBe("done");
    expect(rig.reconciler.status("bad")).toEqual({
      kind: "error",
      revision: seq,
      attempts: 1,
      retryAt: rig.clock.now() + 100,
      error: busy,
      since: rig.clock.now(),
    });
    expect(rig.reconciler.health).toMatchObject({ level: "degraded", errorsCurrent: 1, failingSince: null });
    expect(rig.reconciler.health.message).toContain("bad: try later (EBUSY)");
  });

  it("of a row that may not be repaired now is pending", async () => {
    const rig = await started();
    const before = rig.states.commit({ a: { slot: 1, value: "x" }, b: { slot: 2, value: "x" } });
    await quiet();
    rig.states.pause(rig.clock.now() + 1000);
    const after = rig.states.commit({ a: { slot: 1, value: "y" } });
    rig.target.tamper("vandal", (rows) => rows.delete("b"));
    await quiet();
    expect(rig.reconciler.status("a")).toMatchObject({ kind: "pending", revision: after });
    expect(rig.reconciler.status("b")).toMatchObject({ kind: "pending", revision: before });
  });

  it("of a failing delete is gone when it is held back with others, and nobody retries it", async () => {
    const rig = await started();
    rig.states.commit({ a: { slot: 1, value: "x" } });
    await quiet();
    rig.target.refused.set("alien0", busy);
    rig.target.tamper("vandal", (rows) => rows.set("alien0", { slot: 100, value: "alien" }));
    await quiet();
    expect(rig.reconciler.status("alien0")).toMatchObject({ kind: "error", attempts: 1 });
    rig.target.tamper("vandal", (rows) => {
      for (const [key, row] of Object.entries(rowsNamed("alien", 20, 100))) rows.set(key, row);
    });
    await quiet();
    expect(rig.reconciler.passes.at(-1)?.heldBack).toBe(20);
    expect(rig.reconciler.status("alien0")).toBeUndefined();
    expect(rig.reconciler.health.errorsCurrent).toBe(0);
    const passes = rig.reconciler.passes.length;
    rig.clock.advance(10_000);
    await quiet();
    expect(rig.reconciler.passes.length).toBe(passes);
  });

  it("of a delete that is refused is an error until it works", async () => {
    const rig = await started();
    rig.states.commit({ a: { slot: 1, value: "x" } });
    await quiet();
    rig.target.refused.set("a", busy);
    rig.states.commit({ a: null });
    await quiet();
    expect(rig.reconciler.status("a")).toMatchObject({ kind: "error", attempts: 1 });
    rig.target.refused.clear();
    rig.clock.advance(100);
    await quiet();
    expect(rig.reconciler.status("a")).toBeUndefined();
    expect(rig.target.rows.size).toBe(0);
  });
});

describe("a refused row", () => {
  it("is retried after growing waits, without a look at the target, until it works", async () => {
    const rig = await started();
    rig.target.refused.set("a", busy);
    rig.states.commit({ a: { slot: 1, value: "x" } });
    await quiet();
    const observes = rig.target.observes;
    for (const wait of [100, 200, 400]) {
      const tries = rig.target.plans.length;
      rig.clock.advance(wait - 1);
      await quiet();
      expect(rig.target.plans.length).toBe(tries);
      rig.clock.advance(1);
      await quiet();
      expect(rig.target.plans.length).toBe(tries + 1);
    }
    rig.target.refused.clear();
    rig.clock.advance(800);
    await quiet();
    expect(rig.target.rows.has("a")).toBe(true);
    expect(rig.reconciler.status("a")?.kind).toBe("done");
    expect(rig.target.observes).toBe(observes);
    expect(rig.reconciler.passes.at(-1)?.reasons).toEqual(["retry"]);
  });

  it("in backoff is left out when other rows change", async () => {
    const rig = await started();
    rig.target.refused.set("a", busy);
    rig.states.commit({ a: { slot: 1, value: "x" } });
    await quiet();
    rig.states.commit({ b: { slot: 2, value: "x" } });
    await quiet();
    expect(rig.target.plans.at(-1)?.map((change) => change.key)).toEqual(["b"]);
    expect(rig.reconciler.status("a")).toMatchObject({ kind: "error", attempts: 1 });
  });

  it("is tried at once, with a clean slate, when it changes", async () => {
    const rig = await started();
    rig.target.refused.set("a", busy);
    rig.states.commit({ a: { slot: 1, value: "x" } });
    await quiet();
    rig.clock.advance(100);
    await quiet();
    expect(rig.reconciler.status("a")?.attempts).toBe(2);
    const seq = rig.states.commit({ a: { slot: 1, value: "y" } });
    await quiet();
    expect(rig.reconciler.status("a")).toMatchObject({
      attempts: 1,
      revision: seq,
      retryAt: rig.clock.now() + 100,
    });
  });

  it("with a terminal error is not tried again until it changes or somebody asks for a run", async () => {
    const rig = await started();
    rig.target.refused.set("a", invalid);
    rig.states.commit({ a: { slot: 1, value: "x" } });
    await quiet();
    expect(rig.reconciler.status("a")).toMatchObject({ kind: "error", retryAt: null });
    const tries = rig.target.plans.length;
    rig.clock.advance(3_600_000);
    await quiet();
    expect(rig.target.plans.length).toBe(tries);
    rig.target.refused.clear();
    await rig.reconciler.run("operator");
    expect(rig.reconciler.status("a")?.kind).toBe("done");
  });

  it("is tried at once when another row takes its key under the same revision", async () => {
    const rig = await started();
    rig.target.refused.set("a", invalid);
    const revision = rig.states.commit({ a: { slot: 1, value: "x" } });
    await quiet();
    rig.target.refused.clear();
    rig.states.commit({ a: { slot: 1, value: "y" } }, revision);
    await quiet();
    expect(rig.reconciler.status("a")?.kind).toBe("done");
    expect(rig.target.rows.get("a")?.value).toBe("y");
  });

  it("shares no moment of retry with others when there is jitter", async () => {
    let draw = 0;
    const rig = await started({
      random: () => {
        draw += 0.2;
        return draw % 1;
      },
    });
    rig.target.refused.set("a", busy).set("b", busy);
    rig.states.commit({ a: { slot: 1, value: "x" }, b: { slot: 2, value: "x" } });
    await quiet();
    expect(rig.reconciler.status("a")?.retryAt).not.toBe(rig.reconciler.status("b")?.retryAt);
  });
});

describe("settled", () => {
  it("resolves only when the pass that took the seq has applied it", async () => {
    const rig = await started();
    const open = rig.target.hold();
    const first = rig.states.commit({ a: { slot: 1, value: "x" } });
    const waiting = watchPromise(rig.reconciler.settled(first, NEVER));
    await quiet();
    const second = rig.states.commit({ b: { slot: 2, value: "x" } });
    const later = watchPromise(rig.reconciler.settled(second, NEVER));
    await quiet();
    expect(waiting.state).toBe("waiting");
    const openSecond = rig.target.hold();
    open();
    await quiet();
    expect(waiting.value?.through).toBe(first);
    expect(later.state).toBe("waiting");
    openSecond();
    await quiet();
    expect(later.value?.through).toBe(second);
  });

  it("tells which rows fail, and counts a row in backoff as tried", async () => {
    const rig = await started();
    rig.target.refused.set("a", busy);
    const seq = rig.states.commit({ a: { slot: 1, value: "x" }, b: { slot: 2, value: "x" } });
    const failed = new Map([["a", busy]]);
    expect(await rig.reconciler.settled(seq, NEVER)).toEqual({ through: seq, failed });
    const next = rig.states.commit({ c: { slot: 3, value: "x" } });
    expect(await rig.reconciler.settled(next, NEVER)).toEqual({ through: next, failed });
  });

  it("waits through passes that fail as a whole", async () => {
    for (const fault of ["crash before apply", "crash in apply", "crash after apply"] as const) {
      const rig = await started();
      rig.target.faults.push(fault);
      const seq = rig.states.commit(rowsNamed("a", 4));
      const waiting = watchPromise<Settlement>(rig.reconciler.settled(seq, NEVER));
      await quiet();
      expect(waiting.state).toBe("waiting");
      expect(rig.reconciler.health).toMatchObject({ level: "degraded", failingSince: rig.clock.now() });
      rig.clock.advance(100);
      await quiet();
      expect(waiting.value).toEqual({ through: seq, failed: new Map() });
      expect(Object.fromEntries(rig.target.rows)).toEqual(wanted(rig.states));
      expect(rig.reconciler.health.failingSince).toBeNull();
    }
  });

  it("waits also for a state that wants nothing new, while nobody knows what is in the target", async () => {
    const rig = await started();
    rig.states.commit({ a: { slot: 1, value: "x" } });
    await quiet();
    rig.target.faults.push("reject observe");
    rig.target.tamper("intruder", (rows) => rows.clear());
    await quiet();
    expect(rig.reconciler.health.failingSince).not.toBeNull();
    const settled = watchPromise(rig.reconciler.settled(rig.states.commit({}), NEVER));
    await quiet();
    expect(settled.state).toBe("waiting");
    rig.clock.advance(200);
    await quiet();
    expect(settled.state).toBe("resolved");
    expect(rig.target.rows.size).toBe(1);
  });

  it("rejects when its signal aborts", async () => {
    const rig = await started();
    const reason = new Error("5 s are over");
    await expect(rig.reconciler.settled(99, AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});

describe("a pass that fails as a whole", () => {
  it("is retried after growing waits, and nothing but a request for a run shortens them", async () => {
    const rig = await started({ keeps: false });
    rig.target.faults.push("reject observe", "reject observe", "reject observe");
    rig.states.commit({ a: { slot: 1, value: "x" } });
    await quiet();
    const since = rig.clock.now();
    const observes = rig.target.observes;
    rig.states.commit({ b: { slot: 2, value: "x" } });
    rig.target.tamper("someone", () => {});
    await quiet();
    expect(rig.target.observes).toBe(observes);
    rig.clock.advance(100);
    await quiet();
    expect(rig.target.observes).toBe(observes + 1);
    rig.clock.advance(199);
    await quiet();
    expect(rig.target.observes).toBe(observes + 1);
    expect(rig.reconciler.health).toMatchObject({ level: "degraded", failingSince: since });
    expect(rig.reconciler.health.message).toContain("cannot list");
    const report = await rig.reconciler.run("operator");
    expect(report.error).toBe("cannot list");
    expect((await rig.reconciler.run("operator")).error).toBeNull();
    expect(rig.target.rows.size).toBe(2);
  });

  it("shows in health also when the target never answers, and is told to give up", async () => {
    const rig = await started();
    rig.target.hold();
    rig.states.commit({ a: { slot: 1, value: "x" } });
    await quiet();
    const since = rig.clock.now();
    rig.clock.advance(31_000);
    expect(rig.reconciler.health).toMatchObject({ level: "degraded", failingSince: since });
    rig.clock.advance(30_000);
    await quiet();
    expect(rig.reconciler.passes.at(-1)?.error).toContain("TIMEOUT");
  });
});

describe("the observation", () => {
  it("is kept while the target vouches for itself", async () => {
    const rig = await started();
    for (let slot = 0; slot < 20; slot += 1) {
      rig.states.commit({ [`k${slot}`]: { slot, value: "x" } });
      await quiet();
    }
    expect(rig.target.observes).toBe(1);
    expect(rig.target.rows.size).toBe(20);
  });

  it("is made in every pass of a target that cannot vouch", async () => {
    const rig = await started({ keeps: false });
    rig.states.commit({ a: { slot: 1, value: "x" } });
    await quiet();
    expect(rig.target.observes).toBe(2);
  });

  it("is not made for a state that wants the same rows, also of a target that cannot vouch", async () => {
    const rig = await started({ keeps: false });
    rig.states.commit({ a: { slot: 1, value: "x" } });
    await quiet();
    // What it made of our own row is looked at once.
    rig.states.commit({});
    await quiet();
    const { observes } = rig.target;
    for (let round = 0; round < 3; round += 1) rig.states.commit({});
    await quiet();
    expect(rig.target.observes).toBe(observes);
    const { through } = await rig.reconciler.settled(rig.states.state.seq, NEVER);
    expect(through).toBe(rig.states.state.seq);
  });

  it("is made anew when it is as old as `refreshMs`, whatever the target says", async () => {
    const rig = await started();
    rig.states.commit({ a: { slot: 1, value: "x" } });
    await quiet();
    rig.target.rows.set("a", { slot: 1, value: "silently changed" });
    rig.clock.advance(299_999);
    await quiet();
    expect(rig.target.rows.get("a")?.value).toBe("silently changed");
    rig.clock.advance(1);
    await quiet();
    expect(rig.target.rows.get("a")?.value).toBe("x");
    expect(rig.reconciler.passes.at(-1)).toMatchObject({ reasons: ["refresh"], driftBy: "unknown" });
  });

  it("is made anew after an apply that nobody knows the end of", async () => {
    const rig = await started();
    rig.target.faults.push("crash after apply");
    rig.states.commit({ a: { slot: 1, value: "x" } });
    await quiet();
    rig.clock.advance(100);
    await quiet();
    expect(rig.reconciler.passes.at(-1)).toMatchObject({ observedFresh: true, created: 0, driftBy: null });
    expect(rig.reconciler.status("a")?.kind).toBe("done");
  });
});

describe("drift", () => {
  it.each([
    { what: "a row is gone", change: (rows: Map<string, unknown>) => rows.delete("a"), op: "create" },
    { what: "a row is changed", change: (rows) => rows.set("a", { slot: 1, value: "z" }), op: "update" },
    { what: "a row appears", change: (rows) => rows.set("new", { slot: 9, value: "z" }), op: "delete" },
  ] as { what: string; change: (rows: Map<string, { slot: number; value: string }>) => void; op: string }[])(
    "is repaired at once and its author named when $what",
    async ({ change, op }) => {
      for (const keeps of [true, false]) {
        const rig = await started({ keeps });
        rig.states.commit({ a: { slot: 1, value: "x" }, b: { slot: 2, value: "x" } });
        await quiet();
        const before = rig.target.plans.length;
        rig.target.tamper("vandal (4711)", change);
        await quiet();
        expect(Object.fromEntries(rig.target.rows)).toEqual(wanted(rig.states));
        expect(rig.target.plans.slice(before).flatMap((plan) => plan.map((planned) => planned.op))).toEqual([op]);
        expect(rig.reconciler.passes.at(-1)).toMatchObject({ driftBy: "vandal (4711)", reasons: ["drift"] });
        expect(await rig.metrics.text()).toContain('portreeve_drift_total{target="fake",by="vandal"} 1');
        expect(rig.logged.at(-1)?.message).toBe("target changed by someone else");
      }
    },
  );

  it("is nobody's when a change of our own is all there is", async () => {
    for (const keeps of [true, false]) {
      const rig = await started({ keeps });
      rig.states.commit(rowsNamed("a", 5));
      await quiet();
      rig.states.commit({ a0: null, a1: { slot: 1, value: "other" }, n: { slot: 9, value: "n" } });
      await quiet();
      await rig.reconciler.run("look");
      expect(rig.reconciler.passes.map((pass) => pass.driftBy)).toEqual([null, null, null, null]);
    }
  });

  it("is nobody's when another row takes the key under the same revision", async () => {
    const rig = await started({ keeps: false });
    const revision = rig.states.commit({ a: { slot: 1, value: "x" } });
    await quiet();
    rig.states.commit({ a: { slot: 1, value: "y" } }, revision);
    await quiet();
    expect(rig.target.rows.get("a")?.value).toBe("y");
    expect(rig.logged).toEqual([]);
  });

  it("is nobody's when a row turns up that an apply of unknown end may have made", async () => {
    const rig = await started();
    rig.target.faults.push("crash after apply");
    rig.states.commit({ a: { slot: 1, value: "x" } });
    await quiet();
    rig.states.commit({ a: null });
    rig.clock.advance(100);
    await quiet();
    expect(rig.target.rows.size).toBe(0);
    expect(rig.reconciler.passes.at(-1)).toMatchObject({ deleted: 1, driftBy: null });
  });

  it("keeps its author through a pass that could not look", async () => {
    const rig = await started();
    rig.states.commit({ a: { slot: 1, value: "x" } });
    await quiet();
    rig.target.faults.push("reject observe");
    rig.target.tamper("vandal", (rows) => rows.delete("a"));
    await quiet();
    rig.clock.advance(100);
    await quiet();
    expect(rig.reconciler.passes.at(-1)).toMatchObject({ created: 1, driftBy: "vandal" });
  });

  it("is counted once, also while its repair is held back", async () => {
    const rig = await started();
    rig.target.tamper("vandal", (rows) => {
      for (const [key, row] of Object.entries(rowsNamed("alien", 20))) rows.set(key, row);
    });
    await quiet();
    expect(rig.reconciler.passes.at(-1)).toMatchObject({ driftBy: "vandal", heldBack: 20 });
    expect(await rig.reconciler.run("look")).toMatchObject({ driftBy: null, heldBack: 20 });
  });

  it("hinted at without anything wrong is not blamed on anyone later", async () => {
    const rig = await started();
    rig.states.commit({ a: { slot: 1, value: "x" } });
    await quiet();
    rig.target.tamper("passer-by", () => {});
    await quiet();
    rig.target.tamper(null, (rows) => rows.delete("a"));
    await rig.reconciler.run("look");
    expect(rig.reconciler.passes.at(-1)?.driftBy).toBe("unknown");
  });
});

describe("run and plan", () => {
  it("run looks afresh, tries also what is in backoff, and resolves with the report of a pass that began later", async () => {
    const rig = await started();
    rig.target.refused.set("a", busy);
    rig.states.commit({ a: { slot: 1, value: "x" } });
    await quiet();
    const open = rig.target.hold();
    rig.states.commit({ b: { slot: 2, value: "x" } });
    await quiet();
    const running = rig.reconciler.run("operator");
    rig.target.refused.clear();
    open();
    expect(await running).toMatchObject({ reasons: ["operator"], created: 1, observedFresh: true });
    expect(rig.target.rows.size).toBe(2);
  });

  it("plan tells what a pass would do, with owners, and does nothing", async () => {
    const rig = await started();
    rig.states.commit(rowsNamed("a", 2));
    await quiet();
    const until = rig.clock.now() + 1000;
    rig.states.pause(until);
    await quiet();
    rig.states.commit({ a0: null, n: { slot: 9, value: "n" } });
    rig.target.tamper(null, (rows) => rows.delete("a1"));
    const passes = rig.reconciler.passes.length;
    const applied = rig.target.plans.length;
    expect(await rig.reconciler.plan()).toEqual([
      { op: "delete", key: "a0", owners: [] },
      { op: "create", key: "a1", owners: ["owner-of-a1"] },
      { op: "create", key: "n", owners: ["owner-of-n"] },
    ]);
    expect(rig.target.plans.length).toBe(applied);
    await quiet();
    expect(rig.reconciler.passes.length).toBeLessThanOrEqual(passes + 1);
    rig.clock.advance(1000);
    await quiet();
    expect(Object.fromEntries(rig.target.rows)).toEqual(wanted(rig.states));
  });

  it("a look made for a plan neither hides drift from the next pass nor its kind", async () => {
    const rig = await started();
    rig.states.commit(rowsNamed("a", 2));
    await quiet();
    rig.target.tamper(null, (rows) => rows.set("extra", { slot: 9, value: "z" }));
    expect(await rig.reconciler.plan()).toEqual([{ op: "delete", key: "extra", owners: [] }]);
    expect(rig.target.rows.has("extra")).toBe(true);
    rig.states.commit({ b: { slot: 5, value: "b" } });
    await quiet();
    expect(rig.target.rows.has("extra")).toBe(false);
    expect(rig.reconciler.passes.at(-1)).toMatchObject({ observedFresh: false, deleted: 1, driftBy: "unknown" });
  });

  it("plan rejects when the target cannot be read", async () => {
    const rig = await started({ keeps: false });
    rig.target.faults.push("reject observe");
    await expect(rig.reconciler.plan()).rejects.toThrow("cannot list");
  });

  it("keeps the reports of the last 500 passes", async () => {
    const rig = await started();
    for (let index = 0; index < 1100; index += 1) await rig.reconciler.run("again");
    expect(rig.reconciler.passes.length).toBe(500);
    expect(rig.reconciler.passes.at(-1)?.id).toBe(1101);
    expect(rig.reconciler.passes[0]?.id).toBe(602);
  });
});

describe("a pause", () => {
  it("applies nothing, settles nothing that had to be applied, and ends by itself", async () => {
    const rig = await started();
    const until = rig.clock.now() + 60_000;
    rig.states.pause(until);
    const seq = rig.states.commit({ a: { slot: 1, value: "x" } });
    const waiting = watchPromise(rig.reconciler.settled(seq, NEVER));
    await quiet();
    expect(rig.target.plans).toEqual([]);
    expect(rig.reconciler.status("a")?.kind).toBe("pending");
    expect(rig.reconciler.health).toMatchObject({ level: "paused" });
    expect((await rig.reconciler.run("operator")).created).toBe(0);
    rig.clock.advance(59_999);
    await quiet();
    expect(waiting.state).toBe("waiting");
    rig.clock.advance(1);
    await quiet();
    expect(waiting.value).toEqual({ through: seq, failed: new Map() });
    expect(rig.target.rows.has("a")).toBe(true);
    expect(rig.reconciler.passes.at(-1)?.reasons).toEqual(["resume"]);
    expect(rig.reconciler.health.level).toBe("ok");
  });

  it("that ends while a pass is under way is not slept through", async () => {
    // The process stands still for longer than the pause, wherever the pass is: one of these is between its comparison
    // and its books.
    for (let turns = 0; turns < 20; turns += 1) {
      const rig = await started();
      rig.reconciler.releaseBrake();
      rig.states.pause(rig.clock.now() + 1000);
      rig.states.commit({ a: { slot: 1, value: "x" } });
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
      rig.clock.advance(5000);
      await quiet();
      rig.clock.advance(1000);
      await quiet();
      expect(rig.target.rows.has("a"), `after ${turns} turns`).toBe(true);
    }
  });

  it("makes no pass for a retry that it would not apply", async () => {
    const rig = await started();
    rig.target.refused.set("a", busy);
    rig.states.commit({ a: { slot: 1, value: "x" } });
    await quiet();
    rig.states.pause(rig.clock.now() + 60_000);
    await quiet();
    expect(rig.clock.nextAlarmAt).toBe(rig.clock.now() + 60_000);
  });

  it("settles what needed no change", async () => {
    const rig = await started();
    const seq = rig.states.pause(rig.clock.now() + 60_000);
    expect(await rig.reconciler.settled(seq, NEVER)).toEqual({ through: seq, failed: new Map() });
  });

  it("ends early by an event, and what was released meanwhile goes even if it is everything", async () => {
    const rig = await started();
    rig.states.commit(rowsNamed("a", 40));
    await quiet();
    rig.states.pause(rig.clock.now() + 60_000);
    await quiet();
    rig.states.commit(Object.fromEntries(Object.keys(rowsNamed("a", 40)).map((key) => [key, null])));
    await quiet();
    rig.states.commit({ b: { slot: 50, value: "b" } });
    await quiet();
    expect(rig.target.rows.size).toBe(40);
    rig.states.pause(null);
    await quiet();
    expect([...rig.target.rows.keys()]).toEqual(["b"]);
  });
});

describe("the prune gate", () => {
  it("holds back unexplained deletes until initialization, then lets them go without being asked", async () => {
    const rig = makeRig();
    rig.initialized = false;
    rig.states.commit({ a: { slot: 1, value: "a" } });
    rig.target.rows.set("b", { slot: 2, value: "b" });
    const report = await rig.reconciler.start();
    expect(report).toMatchObject({ created: 1, deleted: 0, heldBack: 1 });
    expect(rig.reconciler.health).toMatchObject({ level: "degraded", heldBack: 1 });
    expect(rig.target.rows.has("b")).toBe(true);
    rig.initialized = true;
    rig.clock.advance(1000);
    await quiet();
    expect(rig.target.rows.has("b")).toBe(false);
    expect(rig.reconciler.health).toMatchObject({ level: "ok", heldBack: 0 });
  });

  it("lets through what this process saw desired when it started", async () => {
    const rig = makeRig();
    rig.initialized = false;
    rig.states.commit({ a: { slot: 1, value: "a" } });
    rig.target.rows.set("a", { slot: 1, value: "a" });
    const first = rig.reconciler.start();
    rig.states.commit({ a: null });
    await first;
    expect(rig.target.rows.size).toBe(0);
  });
});

describe("the delete brake", () => {
  async function braked() {
    const rig = makeRig();
    for (const [key, row] of Object.entries(rowsNamed("old", 20))) rig.target.rows.set(key, row);
    rig.states.commit(rowsNamed("new", 10, 100));
    const report = await rig.reconciler.start();
    return { rig, report };
  }

  it("holds back too many unexplained deletes, applies the rest, and settles", async () => {
    const { rig, report } = await braked();
    expect(report).toMatchObject({ created: 10, deleted: 0, heldBack: 20 });
    expect(rig.target.rows.size).toBe(30);
    expect(rig.reconciler.health).toMatchObject({ level: "degraded", heldBack: 20 });
    expect(rig.logged.at(-1)?.message).toBe("deletes held back");
    expect(await rig.reconciler.settled(1, NEVER)).toMatchObject({ through: 1 });
    expect(await rig.metrics.text()).toContain('portreeve_reconcile_held_back{target="fake"} 20');
  });

  it("still holds when the table has grown", async () => {
    const { rig } = await braked();
    rig.states.commit(rowsNamed("more", 100, 200));
    await quiet();
    rig.states.commit({ one: { slot: 999, value: "x" } });
    await rig.reconciler.run("look");
    expect(rig.reconciler.passes.at(-1)?.heldBack).toBe(20);
    expect(rig.target.rows.size).toBe(131);
  });

  it("lets through what an event explains", async () => {
    const { rig } = await braked();
    rig.states.commit(Object.fromEntries(Object.keys(rowsNamed("new", 10)).map((key) => [key, null])));
    await quiet();
    expect(rig.target.rows.size).toBe(20);
    rig.states.explainEnd(Object.keys(rowsNamed("old", 20)));
    await quiet();
    expect(rig.target.rows.size).toBe(0);
    expect(rig.reconciler.health.level).toBe("ok");
  });

  it("shows what it holds back in the plan of a release, and releases nothing by that", async () => {
    const { rig } = await braked();
    const deletes = async (released: boolean) =>
      (await rig.reconciler.plan(released)).filter(({ op }) => op === "delete").length;
    expect([await deletes(true), await deletes(false)]).toEqual([20, 0]);
    expect(rig.target.rows.size).toBe(30);
  });

  it("is released for one pass", async () => {
    const { rig } = await braked();
    rig.reconciler.releaseBrake();
    await quiet();
    expect(Object.fromEntries(rig.target.rows)).toEqual(wanted(rig.states));
    rig.target.tamper("vandal", (rows) => {
      for (const [key, row] of Object.entries(rowsNamed("again", 20))) rows.set(key, row);
    });
    await quiet();
    expect(rig.target.rows.size).toBe(30);
    expect(rig.reconciler.passes.at(-1)?.heldBack).toBe(20);
  });

  it("is not used up by a pass that applied nothing", async () => {
    const { rig } = await braked();
    rig.states.pause(rig.clock.now() + 1000);
    rig.reconciler.releaseBrake();
    await quiet();
    expect(rig.target.rows.size).toBe(30);
    rig.clock.advance(1000);
    await quiet();
    expect(rig.target.rows.size).toBe(10);
  });
});

describe("policies", () => {
  it("upsert-only never deletes, and settles", async () => {
    const rig = await started({ definition: { policy: "upsert-only" } });
    rig.states.commit({ a: { slot: 1, value: "x" } });
    const seq = rig.states.commit({ a: null });
    await rig.reconciler.settled(seq, NEVER);
    rig.states.commit({ a: { slot: 1, value: "x" } });
    await quiet();
    const gone = rig.states.commit({ a: null });
    await rig.reconciler.settled(gone, NEVER);
    expect(rig.target.applied.map((change) => change.op)).toEqual(["create"]);
    expect(rig.reconciler.status("a")).toBeUndefined();
  });

  it("observe-only plans and reports, and applies nothing", async () => {
    const rig = await started({ definition: { policy: "observe-only" } });
    rig.states.commit({ a: { slot: 1, value: "x" } });
    await quiet();
    expect(rig.target.plans).toEqual([]);
    expect(rig.reconciler.status("a")?.kind).toBe("pending");
  });
});

describe("metrics", () => {
  it("count passes by result and show rows and errors", async () => {
    const rig = await started();
    rig.target.refused.set("a1", invalid);
    rig.states.commit(rowsNamed("a", 3));
    await quiet();
    rig.target.faults.push("crash before apply");
    rig.states.commit({ b: { slot: 9, value: "b" } });
    await quiet();
    const text = await rig.metrics.text();
    expect(text).toContain('portreeve_reconcile_total{target="fake",result="ok"} 1');
    expect(text).toContain('portreeve_reconcile_total{target="fake",result="partial"} 1');
    expect(text).toContain('portreeve_reconcile_total{target="fake",result="error"} 1');
    expect(text).toContain('portreeve_reconcile_changes_total{target="fake",op="create"} 2');
    expect(text).toContain('portreeve_reconcile_errors{target="fake"} 1');
    expect(text).toContain('portreeve_reconcile_rows{target="fake"} 2');
    expect(text).toContain('portreeve_reconcile_duration_seconds_count{target="fake"} 3');
  });
});

describe("close", () => {
  it("lets a running apply end, then starts nothing more and holds nothing", async () => {
    const rig = await started();
    const open = rig.target.hold();
    const seq = rig.states.commit({ a: { slot: 1, value: "x" } });
    const settled = watchPromise(rig.reconciler.settled(seq, NEVER));
    const never = watchPromise(rig.reconciler.settled(seq + 1, NEVER));
    const run = watchPromise(rig.reconciler.run("operator"));
    await quiet();
    const closed = watchPromise(rig.reconciler.close());
    await quiet();
    expect(closed.state).toBe("waiting");
    open();
    await quiet();
    expect(closed.state).toBe("resolved");
    expect(settled.state).toBe("resolved");
    expect(never.state).toBe("rejected");
    expect(run.state).not.toBe("waiting");
    expect(rig.target.rows.has("a")).toBe(true);
    expect(rig.reconciler.health.level).toBe("stopped");
    expect([rig.states.listeners, rig.target.watchers, rig.clock.nextAlarmAt]).toEqual([0, 0, null]);
    const { observes } = rig.target;
    rig.states.commit({ b: { slot: 2, value: "x" } });
    rig.clock.advance(3_600_000);
    await quiet();
    expect(rig.target.observes).toBe(observes);
    await expect(rig.reconciler.run("late")).rejects.toMatchObject({ code: "NOT_READY" });
  });

  it("aborts an apply that does not end within 2 s", async () => {
    const rig = await started();
    rig.target.hold();
    rig.states.commit({ a: { slot: 1, value: "x" } });
    await quiet();
    const closed = watchPromise(rig.reconciler.close());
    await quiet();
    rig.clock.advance(1999);
    await quiet();
    expect(closed.state).toBe("waiting");
    rig.clock.advance(1);
    await quiet();
    expect(closed.state).toBe("resolved");
    expect(rig.reconciler.passes.at(-1)?.error).toContain("stopping");
    expect(rig.clock.nextAlarmAt).toBeNull();
  });

  it("leaves no alarm behind when nothing runs", async () => {
    const rig = await started();
    await rig.reconciler.close();
    expect(rig.clock.nextAlarmAt).toBeNull();
  });

  it("may come before the first pass, or before any start", async () => {
    await makeRig().reconciler.close();
    const rig = makeRig();
    void rig.reconciler.start();
    await rig.reconciler.close();
    await quiet();
    expect(rig.target.observes).toBe(0);
  });
});
