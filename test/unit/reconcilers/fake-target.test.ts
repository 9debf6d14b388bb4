import type { Desired } from "../../../src/reconcilers/contract.ts";
import { FakeTarget, matchesSlotted, type Slotted } from "./fake-target.ts";
import { describeTargetConformance } from "./target-conformance.ts";

const row = (key: string, slot: number, value = key): Desired<Slotted> => ({
  key,
  spec: { slot, value },
  owners: ["test"],
  revision: 1,
});

for (const keeps of [true, false]) {
  const name = keeps ? "the fake that vouches for itself" : "the fake that must be looked at";
  describeTargetConformance(name, { vouches: keeps, watches: true, rivals: true, refuses: true }, async () => {
    const target = new FakeTarget({ keeps });
    target.foreign.set("theirs", { slot: 99, value: "theirs" });
    target.refused.set("bad", { code: "EINVAL", message: "never", disposition: "terminal" });
    return {
      target,
      matches: matchesSlotted,
      ground: [row("ground", 50)],
      rows: [row("a", 1), row("b", 2), row("c", 3)],
      changedFirst: row("a", 1, "other"),
      rivalOfFirst: row("rival", 1),
      refused: row("bad", 7),
      tamper: async () => target.tamper("someone", (rows) => rows.delete("a")),
      foreign: async () => JSON.stringify([...target.foreign]),
      close: async () => {},
    };
  });
}
