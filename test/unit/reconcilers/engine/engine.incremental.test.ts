import { afterEach, describe, expect, it } from "vitest";
import { makeRig, quiet, rowsNamed } from "./rig.ts";

const ROWS = 60_000;
const WALKS = ["entries", "keys", "values", "forEach", Symbol.iterator] as const;
const walks = { large: 0 };
const undo: (() => void)[] = [];

/** Counts every walk over a large Map or Set from now on, copies included: those walk too. */
function countWalks(): void {
  walks.large = 0;
  for (const prototype of [Map.prototype, Set.prototype]) {
    for (const method of WALKS) {
      const original = Object.getOwnPropertyDescriptor(prototype, method) as PropertyDescriptor;
      const call = original.value as (...args: unknown[]) => unknown;
      Object.defineProperty(prototype, method, {
        ...original,
        value(this: Map<unknown, unknown>, ...args: unknown[]) {
          if (this.size > 1000) walks.large += 1;
          return call.apply(this, args);
        },
      });
      undo.push(() => Object.defineProperty(prototype, method, original));
    }
  }
}

function stopCounting(): void {
  for (const restore of undo.splice(0)) restore();
}

afterEach(stopCounting);

async function large() {
  let compared = 0;
  const rig = makeRig({
    definition: {
      matches: (spec, observed) => {
        compared += 1;
        return spec.slot === observed.slot && spec.value === observed.value;
      },
    },
  });
  const rows = rowsNamed("k", ROWS);
  rig.states.commit(rows);
  for (const [key, row] of Object.entries(rows)) rig.target.rows.set(key, row);
  await rig.reconciler.start();
  return { rig, compared: () => compared };
}

describe("a pass with one changed row among 60,000", () => {
  it("reads a handful of rows and walks over no large collection", async () => {
    const { rig, compared } = await large();
    // The fake's own check for a free slot walks over all rows; one that is full of holes does not.
    rig.target.apply = (plan) => Promise.resolve(plan.map(({ key }) => ({ key, ok: true as const })));
    for (const change of [
      { k7: { slot: 7, value: "changed" } },
      { k8: null },
      { fresh: { slot: ROWS, value: "fresh" } },
    ]) {
      rig.states.commit(change);
      const { table } = rig.states.state;
      const before = compared();
      countWalks();
      await quiet();
      stopCounting();
      expect(rig.reconciler.passes.at(-1)).toMatchObject({ reasons: ["state"], observedFresh: false, failed: 0 });
      expect(table.iterated).toBe(0);
      expect(table.gets).toBe(1);
      expect(compared() - before).toBeLessThanOrEqual(1);
      expect(walks.large).toBe(0);
    }
    expect(rig.reconciler.passes.length).toBe(4);
  });

  it("reads few rows also while others fail, and the counting does see a full compare", async () => {
    const { rig } = await large();
    rig.target.refused.set("k1", { code: "EBUSY", message: "busy", disposition: "transient" });
    rig.states.commit({ k1: { slot: 1, value: "y" }, k2: { slot: 2, value: "y" } });
    await quiet();
    rig.states.commit({ k3: { slot: 3, value: "y" } });
    const { table } = rig.states.state;
    await quiet();
    expect(table.gets).toBe(2); // The changed row and the failing one.
    expect(table.iterated).toBe(0);
    countWalks();
    await rig.reconciler.run("everything");
    stopCounting();
    expect(table.iterated).toBeGreaterThanOrEqual(ROWS);
    expect(walks.large).toBeGreaterThan(0);
  });

  it("compares everything when the table cannot say what changed", async () => {
    const { rig } = await large();
    rig.states.forgetAncestors();
    rig.states.commit({});
    rig.states.forgetAncestors();
    await quiet();
    const { table } = rig.states.state;
    expect(rig.reconciler.passes.at(-1)?.observedFresh).toBe(false);
    expect(table.iterated).toBeGreaterThanOrEqual(ROWS);
  });
});
