import { describe, expect, it } from "vitest";
import { createGuardTarget } from "../../../../src/adapters/nftables/guard-target.ts";
import type { Desired } from "../../../../src/reconcilers/contract.ts";
import type { GuardRow } from "../../../../src/reducers/select/rows.ts";
import { FakeKernel } from "./fake-kernel.ts";

const INSTANCE = "0011223344556677";
const desired = (key: string, spec: GuardRow): Desired<GuardRow> => ({ key, spec, owners: ["test"], revision: 1 });
const guard = (requestsPerSecond: number): Desired<GuardRow> =>
  desired("guard", { kind: "guard", instanceId: INSTANCE, wans: ["wan0"], lans: ["lan0"], requestsPerSecond });
const ANCHOR = desired("anchor", { kind: "anchor", instanceId: INSTANCE });
const holder = (address: string): Desired<GuardRow> => desired(`holder|${address}`, { kind: "holder", address });
const { signal } = new AbortController();

describe("the guard target", () => {
  const create = (row: Desired<GuardRow>) => ({ op: "create", key: row.key, desired: row }) as const;
  const remove = ({ key, spec }: Desired<GuardRow>) => ({ op: "delete", key, observed: spec }) as const;

  it("reports what it applied, changed and removed, and repeats all of it without harm", async () => {
    const kernel = new FakeKernel();
    const target = createGuardTarget(kernel.open(INSTANCE));
    const rows = [guard(50), ANCHOR, holder("192.168.77.2"), holder("192.168.77.3")];
    for (let round = 0; round < 2; round += 1) {
      expect((await target.apply(rows.map(create), signal)).filter(({ ok }) => !ok)).toEqual([]);
      expect(await target.observe(signal)).toEqual(new Map(rows.map(({ key, spec }) => [key, spec])));
    }
    expect(target.unchanged?.()).toBe(true);
    const change = { op: "update", key: "guard", desired: guard(60), observed: guard(50).spec } as const;
    await target.apply([change, remove(rows[3] as Desired<GuardRow>), remove(rows[3] as Desired<GuardRow>)], signal);
    expect(await target.observe(signal)).toEqual(
      new Map([guard(60), ANCHOR, holder("192.168.77.2")].map(({ key, spec }) => [key, spec])),
    );
  });

  it("vouches for nothing after its table was removed with rows still in it", async () => {
    const kernel = new FakeKernel();
    const target = createGuardTarget(kernel.open(INSTANCE));
    await target.apply([guard(50), holder("192.168.77.2")].map(create), signal);
    await target.observe(signal);
    await target.apply([remove(guard(50))], signal);
    expect(target.unchanged?.()).toBe(false);
    expect(await target.observe(signal)).toEqual(new Map());
  });

  it("hears of changes to either table", async () => {
    const kernel = new FakeKernel();
    const target = createGuardTarget(kernel.open(INSTANCE));
    await target.apply([guard(50)].map(create), signal);
    await target.observe(signal);
    const heard: string[] = [];
    const watch = target.watch?.((by) => heard.push(by));
    kernel.foreign("flush chain inet portreeve_guard requests");
    expect(target.unchanged?.()).toBe(false);
    watch?.close();
    kernel.foreign("flush chain inet portreeve_guard input");
    expect(heard).toEqual(["nft (99)"]);
  });

  it("keeps the anchor through a flush by others, and reports what that took", async () => {
    const kernel = new FakeKernel();
    const target = createGuardTarget(kernel.open(INSTANCE));
    await target.apply([guard(50), ANCHOR, holder("192.168.77.2")].map(create), signal);
    kernel.ruleset.flush();
    expect([...(await target.observe(signal)).keys()]).toEqual(["anchor"]);
  });

  it("loses the anchor with its process, and the guard not", async () => {
    const kernel = new FakeKernel();
    const nft = kernel.open(INSTANCE);
    await createGuardTarget(nft).apply([guard(50), ANCHOR].map(create), signal);
    await nft.close();
    expect([...kernel.ruleset.tables().keys()]).toEqual(["portreeve_guard"]);
  });

  it("fails the anchor alone when it is another's", async () => {
    const kernel = new FakeKernel();
    await createGuardTarget(kernel.open(INSTANCE)).apply([ANCHOR].map(create), signal);
    const second = kernel.open("8899aabbccddeeff");
    const outcomes = await createGuardTarget(second).apply([guard(50), ANCHOR].map(create), signal);
    expect(outcomes).toMatchObject([
      { key: "guard", ok: true },
      { key: "anchor", ok: false, error: { code: "EPERM" } },
    ]);
    expect(await second.findForeignInstance()).toEqual({ instanceId: INSTANCE, live: true });
  });
});
