import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Change, Desired } from "../../../../src/reconcilers/contract.ts";
import { diffAll, diffKeys, sortPlan } from "../../../../src/reconcilers/engine/diff.ts";
import { CountedTable } from "../desired-states.ts";

const table = (specs: Record<string, number>): CountedTable<number> =>
  new CountedTable(
    new Map(Object.entries(specs).map(([key, spec]) => [key, { key, spec, owners: ["x"], revision: 1 }])),
  );
const inWords = (changes: readonly Change<number, number>[]): string[] =>
  changes.map((change) => `${change.op} ${change.key}`);
const same = (spec: number, observed: number): boolean => spec === observed;

describe("diff", () => {
  it("creates what is missing, updates what differs, deletes what nobody wants, and leaves the rest", () => {
    const changes = diffAll(
      table({ kept: 1, changed: 2, missing: 3 }),
      new Map(Object.entries({ kept: 1, changed: 9, extra: 4 })),
      same,
    );
    expect(inWords(sortPlan(changes))).toEqual(["delete extra", "update changed", "create missing"]);
  });

  it("compares only what `matches` compares", () => {
    const desired = table({ a: 1 });
    expect(diffAll(desired, new Map([["a", 7]]), () => true)).toEqual([]);
  });

  it("says the same of all keys as of everything", () => {
    const specs = fc.dictionary(fc.constantFrom("a", "b", "c", "d", "e", "f"), fc.integer({ min: 0, max: 2 }));
    fc.assert(
      fc.property(specs, specs, (desired, observed) => {
        const keys = new Set([...Object.keys(desired), ...Object.keys(observed)]);
        const found = new Map(Object.entries(observed));
        const all = inWords(sortPlan(diffAll(table(desired), found, same)));
        expect(inWords(sortPlan(diffKeys(keys, table(desired), found, same)))).toEqual(all);
      }),
    );
  });
});

describe("sortPlan", () => {
  it("puts deletes first, then orders by code unit, whatever order the changes came in", () => {
    const desired: Desired<number> = { key: "", spec: 0, owners: ["x"], revision: 1 };
    const changes: Change<number, number>[] = [
      { op: "create", key: "b", desired },
      { op: "update", key: "B", desired, observed: 0 },
      { op: "create", key: "a", desired },
      { op: "delete", key: "z", observed: 0 },
      { op: "delete", key: "ä", observed: 0 },
    ];
    const expected = ["delete z", "delete ä", "update B", "create a", "create b"];
    fc.assert(
      fc.property(fc.shuffledSubarray(changes, { minLength: changes.length }), (shuffled) => {
        expect(inWords(sortPlan(shuffled))).toEqual(expected);
      }),
    );
  });
});
