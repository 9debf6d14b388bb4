import { describe, expect, it } from "vitest";
import { createForwardsTarget } from "../../../../src/adapters/nftables/forwards-target.ts";
import { createGuardTarget } from "../../../../src/adapters/nftables/guard-target.ts";
import type { Change, Plan } from "../../../../src/reconcilers/contract.ts";
import type { ForwardRow, GuardRow } from "../../../../src/reducers/select/rows.ts";
import { FakeKernel } from "./fake-kernel.ts";

const INSTANCE = "0011223344556677";
const SIGNAL = new AbortController().signal;

function created<Row>(key: string, spec: Row): Change<Row, Row> {
  return { op: "create", key, desired: { key, spec, owners: ["test"], revision: 1 } };
}
const SKELETON = created<ForwardRow>("skeleton", {
  kind: "skeleton",
  instanceId: INSTANCE,
  wans: ["wan0"],
  lans: ["lan0"],
});
const range = (firstPort: number, lastPort: number) =>
  created<ForwardRow>(`range|11.22.33.1|udp|${firstPort}-${lastPort}`, {
    kind: "range",
    address: "11.22.33.1",
    protocol: "udp",
    firstPort,
    lastPort,
    toAddress: "192.168.77.2",
  });

describe("a rehearsal of the nftables targets", () => {
  it("[E4] says what the kernel says to the very commands, and commits nothing", async () => {
    const kernel = new FakeKernel();
    const target = createForwardsTarget(kernel.open(INSTANCE));
    await target.observe(SIGNAL);
    const all: Plan<ForwardRow, ForwardRow> = [SKELETON, range(5000, 5010)];
    expect(await target.rehearse?.(all, SIGNAL)).toEqual(all.map(({ key }) => ({ key, ok: true })));
    expect([kernel.ruleset.dump(), kernel.transactions]).toEqual(["", []]);

    await target.apply(all, SIGNAL);
    const dump = kernel.ruleset.dump();
    const overlapping = [range(5005, 5020), range(6000, 6001)];
    const outcomes = await target.rehearse?.(overlapping, SIGNAL);
    expect(outcomes).toMatchObject([{ ok: false, error: { code: "EEXIST" } }, { ok: true }]);
    expect(kernel.ruleset.dump()).toBe(dump);
    // The same as doing it.
    expect(await target.apply(overlapping, SIGNAL)).toEqual(outcomes);
  });

  it("[E4] leaves the anchor out: nobody but its owner may ask about it", async () => {
    const kernel = new FakeKernel();
    const target = createGuardTarget(kernel.open(INSTANCE));
    await target.observe(SIGNAL);
    const plan = [
      created<GuardRow>("anchor", { kind: "anchor", instanceId: INSTANCE }),
      created<GuardRow>("guard", {
        kind: "guard",
        instanceId: INSTANCE,
        wans: ["wan0"],
        lans: ["lan0"],
        requestsPerSecond: 50,
      }),
    ];
    expect(await target.rehearse?.(plan, SIGNAL)).toEqual(plan.map(({ key }) => ({ key, ok: true })));
    expect(kernel.ruleset.dump()).toBe("");
  });
});
