import { describe, expect, it } from "vitest";
import type { Change } from "../../../../src/reconcilers/contract.ts";
import { restrain, type Restraints } from "../../../../src/reconcilers/engine/policy.ts";

const row = { key: "new", spec: 0, owners: ["x"], revision: 1 };
const create: Change<number, number> = { op: "create", key: "new", desired: row };
const deletes = (count: number, prefix = "old"): Change<number, number>[] =>
  Array.from({ length: count }, (_, index) => ({ op: "delete", key: `${prefix}${index}`, observed: 0 }));
const OPEN: Restraints = {
  policy: "sync",
  initialized: true,
  explained: () => false,
  owned: 100,
  deleteFractionMax: 0.3,
  engaged: false,
  released: false,
};

describe("restrain", () => {
  it("lets everything through under sync", () => {
    expect(restrain([create, ...deletes(5)], OPEN)).toEqual({
      allowed: [create, ...deletes(5)],
      heldBack: [],
      heldBy: null,
    });
  });

  it("drops deletes under upsert-only without calling them held back", () => {
    expect(restrain([create, ...deletes(50)], { ...OPEN, policy: "upsert-only" })).toEqual({
      allowed: [create],
      heldBack: [],
      heldBy: null,
    });
  });

  it("lets nothing through under observe-only", () => {
    expect(restrain([create, ...deletes(1)], { ...OPEN, policy: "observe-only" }).allowed).toEqual([]);
  });

  it("before initialization holds back each delete that no event explains, and no other", () => {
    const explained = (key: string): boolean => key.startsWith("released");
    const result = restrain([create, ...deletes(1), ...deletes(1, "released")], {
      ...OPEN,
      initialized: false,
      explained,
    });
    expect(result.allowed).toEqual([create, ...deletes(1, "released")]);
    expect(result.heldBack).toEqual(deletes(1));
    expect(result.heldBy).toBe("gate");
  });

  it.each([
    { unexplained: 30, owned: 100, held: false, why: "it is not more than the share" },
    { unexplained: 31, owned: 100, held: true, why: "it is more than the share" },
    { unexplained: 10, owned: 10, held: false, why: "10 rows are never too many" },
    { unexplained: 11, owned: 11, held: true, why: "11 of 11 rows are all" },
  ])("of $owned rows $unexplained unexplained deletes are held back: $held, since $why", (example) => {
    const result = restrain(deletes(example.unexplained), { ...OPEN, owned: example.owned });
    expect(result.heldBy).toBe(example.held ? "brake" : null);
    expect(result.heldBack.length).toBe(example.held ? example.unexplained : 0);
  });

  it("counts only unexplained deletes against the brake, and holds back only those", () => {
    const explained = (key: string): boolean => key.startsWith("released");
    const many = [...deletes(80, "released"), ...deletes(20)];
    expect(restrain(many, { ...OPEN, explained }).heldBy).toBeNull();
    const tooMany = restrain([...deletes(40, "released"), ...deletes(40)], { ...OPEN, explained });
    expect(tooMany.allowed).toEqual(deletes(40, "released"));
    expect(tooMany.heldBack).toEqual(deletes(40));
  });

  it("holds on while the table grows beside what is held", () => {
    expect(restrain(deletes(40), { ...OPEN, owned: 1000, engaged: true }).heldBy).toBe("brake");
    expect(restrain(deletes(10), { ...OPEN, owned: 1000, engaged: true }).heldBy).toBeNull();
  });

  it("lets the brake's deletes through once released, but never the gate's", () => {
    expect(restrain(deletes(90), { ...OPEN, released: true }).allowed).toEqual(deletes(90));
    expect(restrain(deletes(90), { ...OPEN, released: true, initialized: false }).heldBy).toBe("gate");
  });
});
