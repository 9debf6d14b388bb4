import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Plan } from "../../../../src/reconcilers/contract.ts";
import type { Fault, ObservedSlotted, Slotted } from "../fake-target.ts";
import { makeRig, NEVER, quiet, type Rig, rowsNamed } from "./rig.ts";

/**
 * Random lives of a reconciler against an oracle of its own: `Model` knows only what was committed and what was done to
 * the target, never what the engine says of itself.
 */

const KEYS = ["a", "b", "c", "d", "e"] as const;
type Key = (typeof KEYS)[number];

type Step =
  | { readonly do: "commit"; readonly key: Key; readonly slot: number | null; readonly value: string }
  | { readonly do: "remove"; readonly key: Key }
  | { readonly do: "change"; readonly key: Key }
  | { readonly do: "add"; readonly count: number }
  | { readonly do: "refuse"; readonly key: Key; readonly terminal: boolean }
  | { readonly do: "accept" }
  | { readonly do: "fault"; readonly fault: Fault }
  | { readonly do: "pause" }
  | { readonly do: "resume" }
  | { readonly do: "wait"; readonly ms: number }
  | { readonly do: "quiet" }
  | { readonly do: "restart"; readonly initialized: boolean }
  | { readonly do: "release" };

const key = fc.constantFrom(...KEYS);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("commit" as const),
      key,
      // Fewer slots than keys: rows must be able to hand a slot over within one plan.
      slot: fc.option(fc.integer({ min: 0, max: 3 }), { freq: 3 }),
      value: fc.constantFrom("x", "y"),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("remove" as const), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("change" as const), key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("add" as const), count: fc.constantFrom(1, 3, 12, 15) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("refuse" as const), key, terminal: fc.boolean() }) },
  { weight: 2, arbitrary: fc.constant({ do: "accept" as const }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("fault" as const),
      fault: fc.constantFrom<Fault>("reject observe", "crash before apply", "crash in apply", "crash after apply"),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: "pause" as const }) },
  { weight: 1, arbitrary: fc.constant({ do: "resume" as const }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(1, 150, 2000, 400_000) }) },
  { weight: 6, arbitrary: fc.constant({ do: "quiet" as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("restart" as const), initialized: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ do: "release" as const }) },
);

class Model {
  /** What the last word about each key was, and which commit said it. */
  readonly wanted = new Map<string, { spec: Slotted; seq: number }>();
  /** Keys that a state of this process wanted. */
  seen = new Set<string>();
  /** Since the last pass that applied anything with the brake off. */
  released = false;
  readonly violations: string[] = [];

  restart(): void {
    this.seen = new Set(this.wanted.keys());
    this.released = false;
  }

  /** Slots are given to one row at a time, as the port allocator gives ports. */
  slotTaken(slot: number, by: string): boolean {
    return [...this.wanted].some(([other, { spec }]) => other !== by && spec.slot === slot);
  }

  judge(plan: Plan<Slotted, ObservedSlotted>, rig: Rig): void {
    const ops = plan.map((change) => change.op);
    if (ops.lastIndexOf("delete") > ops.findIndex((op) => op !== "delete") && ops.some((op) => op !== "delete")) {
      this.violations.push(`deletes are not first: ${ops.join(" ")}`);
    }
    if (rig.states.state.pausedUntil !== null && rig.states.state.pausedUntil > rig.clock.now()) {
      this.violations.push("applied while paused");
    }
    const deletes = plan.filter((change) => change.op === "delete");
    for (const change of deletes) if (this.wanted.has(change.key)) this.violations.push(`deletes ${change.key}`);
    const unexplained = deletes.filter((change) => !this.seen.has(change.key)).length;
    if (unexplained > 0 && !rig.initialized) this.violations.push(`${unexplained} deletes before initialization`);
    if (unexplained > 10 && unexplained > 0.3 * rig.target.rows.size && !this.released) {
      this.violations.push(`${unexplained} of ${rig.target.rows.size} deleted unexplained`);
    }
  }
}

class Life {
  rig: Rig;
  readonly model = new Model();
  #added = 0;

  constructor(keeps: boolean) {
    this.rig = makeRig({ keeps, random: () => 0.5 });
    this.rig.target.foreign.set("theirs", { slot: 500, value: "theirs" });
    this.rig.target.onApply = (plan) => this.model.judge(plan, this.rig);
    void this.rig.reconciler.start();
  }

  async take(step: Step): Promise<void> {
    const { rig, model } = this;
    const { target, states, clock } = rig;
    switch (step.do) {
      case "commit":
        if (step.slot !== null && model.slotTaken(step.slot, step.key)) return;
        return this.#commit(step.key, step.slot === null ? null : { slot: step.slot, value: step.value });
      case "remove":
        return target.tamper("vandal", (rows) => rows.delete(step.key));
      case "change":
        return target.tamper("vandal", (rows) => {
          const row = rows.get(step.key);
          if (row !== undefined) rows.set(step.key, { ...row, value: "vandalised" });
        });
      case "add": {
        const rows = rowsNamed(`alien${this.#added}-`, step.count, 1000 + this.#added * 100);
        this.#added += 1;
        return target.tamper(null, (there) => {
          for (const [name, row] of Object.entries(rows)) there.set(name, row);
        });
      }
      case "refuse":
        target.refused.set(step.key, {
          code: "EBUSY",
          message: "refused",
          disposition: step.terminal ? "terminal" : "transient",
        });
        return;
      case "accept":
        return target.refused.clear();
      case "fault":
        target.faults.push(step.fault);
        return;
      case "pause":
        states.pause(clock.now() + 1000);
        return;
      case "resume":
        states.pause(null);
        return;
      case "wait":
        clock.advance(step.ms);
        return quiet();
      case "quiet":
        return quiet();
      case "restart": {
        const old = rig.reconciler.close();
        await quiet();
        clock.advance(5000);
        await old;
        this.rig = rig.restart();
        this.rig.initialized = step.initialized;
        model.restart();
        target.onApply = (plan) => model.judge(plan, this.rig);
        void this.rig.reconciler.start();
        return;
      }
      case "release":
        model.released = true;
        return rig.reconciler.releaseBrake();
    }
  }

  #commit(name: string, spec: Slotted | null): void {
    const seq = this.rig.states.commit({ [name]: spec });
    if (spec === null) this.model.wanted.delete(name);
    else {
      this.model.wanted.set(name, { spec, seq });
      this.model.seen.add(name);
    }
  }

  /** No more trouble; enough time for every backoff; aliens let go. */
  async calmDown(): Promise<void> {
    const { rig } = this;
    rig.target.faults.length = 0;
    rig.target.refused.clear();
    rig.initialized = true;
    rig.states.pause(null);
    await quiet();
    // Someone must ask for rows with a terminal error, and let go what the brake holds: that is what they are for.
    this.model.released = true;
    rig.reconciler.releaseBrake();
    for (let round = 0; round < 4; round += 1) {
      await rig.reconciler.run("calm");
      rig.clock.advance(20_000);
      await quiet();
    }
  }
}

const lives = fc.array(step, { minLength: 5, maxLength: 60 });

describe("whatever happens to a reconciler", () => {
  it.each([{ keeps: true }, { keeps: false }])(
    "it converges, touches nothing foreign, deletes nothing unexplained, never runs twice at once ($keeps)",
    async ({ keeps }) => {
      await fc.assert(
        fc.asyncProperty(lives, async (steps) => {
          const life = new Life(keeps);
          for (const step of steps) await life.take(step);
          await life.calmDown();
          const { target, reconciler } = life.rig;
          const specs = Object.fromEntries([...life.model.wanted].map(([name, { spec }]) => [name, spec]));
          expect(Object.fromEntries(target.rows)).toEqual(specs);
          expect(life.model.violations).toEqual([]);
          expect([...target.foreign]).toEqual([["theirs", { slot: 500, value: "theirs" }]]);
          expect(target.callsAtOnceMax).toBe(1);

          const plans = target.plans.length;
          await reconciler.run("once more");
          expect(target.plans.length).toBe(plans);
          for (const name of KEYS) {
            const row = life.model.wanted.get(name);
            expect(reconciler.status(name)?.kind, name).toBe(row === undefined ? undefined : "done");
            expect(reconciler.status(name)?.revision, name).toBe(row?.seq);
          }
          expect(reconciler.health).toMatchObject({ level: "ok", errorsCurrent: 0, heldBack: 0 });
          await reconciler.close();
        }),
        { numRuns: 300 },
      );
    },
  );

  it("without anyone asking it converges by its own timers alone", async () => {
    const calm = lives.map((steps) =>
      steps.filter((taken) => taken.do !== "add" && !(taken.do === "refuse" && taken.terminal)),
    );
    await fc.assert(
      fc.asyncProperty(calm, fc.boolean(), async (steps, keeps) => {
        const life = new Life(keeps);
        for (const step of steps) await life.take(step);
        const { rig, model } = life;
        rig.target.faults.length = 0;
        rig.target.refused.clear();
        rig.initialized = true;
        for (let round = 0; round < 8; round += 1) {
          rig.clock.advance(5000);
          await quiet();
        }
        const specs = Object.fromEntries([...model.wanted].map(([name, { spec }]) => [name, spec]));
        expect(Object.fromEntries(rig.target.rows)).toEqual(specs);
        await rig.reconciler.close();
      }),
      { numRuns: 200 },
    );
  });

  it("a settlement is the truth: each row up to its seq is in the target or named as failing", async () => {
    const quietLives = lives.map((steps) =>
      steps.filter((taken) => !["remove", "change", "add", "restart", "release"].includes(taken.do)),
    );
    await fc.assert(
      fc.asyncProperty(quietLives, async (steps) => {
        const life = new Life(true);
        const lies: string[] = [];
        for (const step of steps) {
          await life.take(step);
          if (step.do !== "commit") continue;
          const { seq } = life.rig.states.state;
          void life.rig.reconciler.settled(seq, NEVER).then(
            ({ through, failed }) => {
              if (through < seq) lies.push(`through ${through} is less than ${seq}`);
              for (const [name, row] of life.model.wanted) {
                const found = life.rig.target.rows.get(name);
                const right = found?.slot === row.spec.slot && found.value === row.spec.value;
                if (row.seq <= through && !right && !failed.has(name)) lies.push(`${name} at ${through}`);
              }
            },
            () => {},
          );
        }
        await life.calmDown();
        expect(lies).toEqual([]);
        await life.rig.reconciler.close();
      }),
      { numRuns: 200 },
    );
  });

  it("status agrees with the target whenever nothing is under way", async () => {
    const unseen = lives.map((steps) => steps.filter((taken) => !["add", "restart"].includes(taken.do)));
    await fc.assert(
      fc.asyncProperty(unseen, async (steps) => {
        const life = new Life(true);
        for (const step of steps) {
          await life.take(step);
          await quiet();
          const { target, reconciler } = life.rig;
          const failing = reconciler.health.failingSince !== null;
          for (const name of KEYS) {
            const row = life.model.wanted.get(name);
            const found = target.rows.get(name);
            const status = reconciler.status(name);
            const right = row !== undefined && found?.slot === row.spec.slot && found.value === row.spec.value;
            if (!failing && row !== undefined && status?.revision === row.seq) {
              expect(status.kind === "done", `${name} is done exactly if it is there`).toBe(right);
            }
            if (row === undefined && found === undefined && !failing) expect(status, name).toBeUndefined();
          }
        }
        await life.rig.reconciler.close();
      }),
      { numRuns: 200 },
    );
  });
});
