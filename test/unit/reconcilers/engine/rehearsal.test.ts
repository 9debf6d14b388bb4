import { describe, expect, it } from "vitest";
import type { Outcome, Plan } from "../../../../src/reconcilers/contract.ts";
import { CountedTable } from "../desired-states.ts";
import type { ObservedSlotted, Slotted } from "../fake-target.ts";
import { makeRig, quiet, rowsNamed } from "./rig.ts";

const REFUSED = { code: "EBUSY", message: "taken", disposition: "terminal" } as const;
const row = (key: string, slot: number) =>
  [key, { key, spec: { slot, value: key }, owners: ["someone"], revision: 9 }] as const;

/** A started engine over a target that can be asked, and what it was asked. */
async function asked() {
  const rig = makeRig();
  const plans: Plan<Slotted, ObservedSlotted>[] = [];
  Object.assign(rig.target, {
    rehearse: async (plan: Plan<Slotted, ObservedSlotted>): Promise<Outcome[]> => {
      plans.push(plan);
      return plan.map(({ key }) => (key === "bad" ? { key, ok: false, error: REFUSED } : { key, ok: true }));
    },
  });
  rig.states.commit(rowsNamed("a", 2));
  await rig.reconciler.start();
  return { rig, plans };
}

describe("a rehearsal", () => {
  it("[E4] asks the target about exactly what a pass over those rows would do, and does nothing", async () => {
    const { rig, plans } = await asked();
    const [applied, passes] = [rig.target.plans.length, rig.reconciler.passes.length];
    const table = new CountedTable(new Map([row("a0", 0), row("bad", 5), row("good", 6)]));
    const refused = await rig.reconciler.rehearse(rig.states.state, table);
    expect(refused).toEqual([{ key: "bad", ok: false, error: REFUSED }]);
    expect(plans.map((plan) => plan.map(({ op, key }) => `${op} ${key}`))).toEqual([
      ["delete a1", "create bad", "create good"],
    ]);
    await quiet();
    expect([rig.target.plans.length, rig.reconciler.passes.length]).toEqual([applied, passes]);
    // The next pass knows nothing of it.
    rig.states.commit({ c: { slot: 7, value: "c" } });
    await quiet();
    expect([...rig.target.rows.keys()].sort()).toEqual(["a0", "a1", "c"]);
  });

  it("[E4] is undefined where the target cannot tell, and rejects when the engine closes", async () => {
    const plain = makeRig();
    await plain.reconciler.start();
    const table = new CountedTable(new Map([row("good", 6)]));
    expect(await plain.reconciler.rehearse(plain.states.state, table)).toBeUndefined();
    await plain.reconciler.close();
    await expect(plain.reconciler.rehearse(plain.states.state, table)).rejects.toThrow("stop");
  });
});
