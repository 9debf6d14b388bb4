import { beforeEach, describe, expect, it } from "vitest";
import type { Flow } from "../../../../src/adapters/nftables/conntrack-message.ts";
import { createForwardsTarget } from "../../../../src/adapters/nftables/forwards-target.ts";
import { MARK_SEVERED } from "../../../../src/adapters/nftables/marks.ts";
import { parseIpv4 } from "../../../../src/lib/ip.ts";
import type { Change, Desired, Target } from "../../../../src/reconcilers/contract.ts";
import { sameRow } from "../../../../src/reconcilers/same-row.ts";
import type { ForwardRow } from "../../../../src/reducers/select/rows.ts";
import { describeTargetConformance } from "../../reconcilers/target-conformance.ts";
import { FakeKernel } from "./fake-kernel.ts";

const INSTANCE = "0011223344556677";
const WAN = "11.22.33.1";
const HOST = "192.168.77.2";

const desired = (key: string, spec: ForwardRow): Desired<ForwardRow> => ({ key, spec, owners: ["test"], revision: 1 });
const SKELETON = desired("skeleton", {
  kind: "skeleton",
  instanceId: INSTANCE,
  wans: ["wan0"],
  lans: ["lan0"],
});
const forward = (port: number, toAddress = HOST, protocol: "tcp" | "udp" = "tcp"): Desired<ForwardRow> =>
  desired(`forward|${WAN}|${protocol}|${port}`, {
    kind: "forward",
    address: WAN,
    protocol,
    port,
    toAddress,
    toPort: 8080,
  });
const range = (firstPort: number, lastPort: number, toAddress = HOST): Desired<ForwardRow> =>
  desired(`range|${WAN}|udp|${firstPort}-${lastPort}`, {
    kind: "range",
    address: WAN,
    protocol: "udp",
    firstPort,
    lastPort,
    toAddress,
  });
const severed = (port: number, count: number): Desired<ForwardRow> =>
  desired(`severed|${WAN}|tcp|${port}`, { kind: "severed", address: WAN, protocol: "tcp", port, count, decidedAt: 1 });
const create = (row: Desired<ForwardRow>): Change<ForwardRow, ForwardRow> => ({
  op: "create",
  key: row.key,
  desired: row,
});
const remove = ({ key, spec }: Desired<ForwardRow>): Change<ForwardRow, ForwardRow> => ({
  op: "delete",
  key,
  observed: spec,
});

const traits = { vouches: true, watches: true, rivals: true, refuses: true };
describeTargetConformance("the forwards target", traits, async () => {
  const kernel = new FakeKernel();
  const nft = kernel.open(INSTANCE);
  return {
    target: createForwardsTarget(nft),
    matches: sameRow,
    ground: [SKELETON],
    rows: [
      range(4000, 4099),
      forward(80),
      desired("ours|udp|51820", { kind: "ours", protocol: "udp", port: 51820 }),
      desired(`outbound|${HOST}|udp|7000`, {
        kind: "outbound",
        address: HOST,
        protocol: "udp",
        port: 7000,
        toAddress: WAN,
        toPort: 9000,
      }),
    ],
    changedFirst: range(4000, 4099, "192.168.77.3"),
    rivalOfFirst: range(4050, 4149),
    refused: desired(`range|${WAN}|udp|70000-70001`, {
      ...range(1, 2).spec,
      firstPort: 70_000,
      lastPort: 70_001,
    } as ForwardRow),
    tamper: async () => kernel.foreign(`delete element inet portreeve ranges { ${WAN} . udp . 4000-4099 }`),
    foreign: async () => {
      if (!kernel.ruleset.tables().has("other")) kernel.foreign("add table inet other\nadd chain inet other c");
      return /^table inet other \{\n.*?^\}/ms.exec(kernel.ruleset.dump())?.[0] ?? "";
    },
    close: () => nft.close(),
  };
});

describe("the forwards target", () => {
  const { signal } = new AbortController();
  let kernel: FakeKernel;
  let target: Target<ForwardRow, ForwardRow>;
  const apply = async (...changes: readonly Change<ForwardRow, ForwardRow>[]): Promise<string[]> =>
    (await target.apply(changes, signal)).filter(({ ok }) => !ok).map(({ key }) => key);

  beforeEach(async () => {
    kernel = new FakeKernel();
    target = createForwardsTarget(kernel.open(INSTANCE));
    expect(await apply(create(SKELETON))).toEqual([]);
    await target.observe(signal);
  });

  it("commits a whole plan, its skeleton too, in one transaction", async () => {
    kernel.transactions.length = 0;
    const elsewhere = { ...SKELETON, spec: { ...SKELETON.spec, lans: ["lan0", "lan1"] } as ForwardRow };
    await apply(create(elsewhere), create(forward(80)), create(range(4000, 4001)));
    expect(kernel.transactions).toHaveLength(1);
    expect((await target.observe(signal)).get("skeleton")).toEqual(elsewhere.spec);
  });

  it("takes as many transactions for one refused row among many as halving needs, not one for each row", async () => {
    const rows = Array.from({ length: 256 }, (_, index) => forward(1000 + index));
    const wrong = forward(70_000);
    kernel.transactions.length = 0;
    expect(await apply(...[...rows.slice(0, 100), wrong, ...rows.slice(100)].map(create))).toEqual([wrong.key]);
    expect(kernel.transactions.length).toBeLessThanOrEqual(2 * 9 + 1);
    expect((await target.observe(signal)).size).toBe(rows.length + 1);
  });

  it("does not take a neighbour away with a range that is already gone", async () => {
    expect(await apply(create(range(4000, 4099)))).toEqual([]);
    expect(await apply(remove(range(4050, 4060)))).toEqual([]);
    expect([...(await target.observe(signal)).keys()]).toContain(range(4000, 4099).key);
  });

  it("answers every row of a plan when the table is gone, without trying them one by one", async () => {
    kernel.foreign("delete table inet portreeve");
    kernel.transactions.length = 0;
    const rows = Array.from({ length: 64 }, (_, index) => forward(1000 + index));
    expect(await apply(...rows.map(create), remove(forward(80)))).toEqual(rows.map(({ key }) => key));
    expect(kernel.transactions.length).toBe(1);
  });

  it("reports a skeleton as drifted that it did not write itself, and remembers the one it wrote", async () => {
    const restarted = createForwardsTarget(kernel.open(INSTANCE));
    const found = (await restarted.observe(signal)).get("skeleton") as ForwardRow;
    expect(sameRow(SKELETON.spec, found)).toBe(false);
    await restarted.apply([{ op: "update", key: "skeleton", desired: SKELETON, observed: found }], signal);
    expect((await restarted.observe(signal)).get("skeleton")).toEqual(SKELETON.spec);
  });

  it("refuses to observe or change what another instance has marked", async () => {
    kernel.foreign(
      'flush set inet portreeve instance\nadd element inet portreeve instance { 0.0.0.1 comment "ffffffffffffffff" }',
    );
    await expect(target.apply([create(forward(80))], signal)).rejects.toMatchObject({
      code: "FOREIGN_INSTANCE",
      disposition: "terminal",
    });
    await expect(target.observe(signal)).rejects.toMatchObject({ code: "FOREIGN_INSTANCE" });
    expect(kernel.ruleset.elements("portreeve", "forwards")).toEqual([]);
  });

  describe("with live flows", () => {
    let nextId = 1;
    const address = (text: string): number => parseIpv4(text) as number;
    /** A peer's flow to an external port, as conntrack has it after NAT to `to`, or without NAT. */
    const flow = (port: number, to: string | null, over: Partial<Flow> = {}): Flow => {
      nextId += 1;
      const original = {
        source: address("11.22.33.9"),
        destination: address(WAN),
        protocol: 6,
        sourcePort: 4444,
        destinationPort: port,
      };
      const reply = {
        source: address(to ?? WAN),
        destination: original.source,
        protocol: 6,
        sourcePort: to === null ? port : 8080,
        destinationPort: 4444,
      };
      return { original, reply, destinationNat: to !== null, sourceNat: false, mark: 0, id: nextId, zone: 0, ...over };
    };

    it("forgets those without our DNAT or with the old target, and no others, when a forward is made or moved", async () => {
      const [without, old, right, other, udp] = [
        flow(80, null),
        flow(80, "192.168.77.9"),
        flow(80, HOST),
        flow(81, null),
        flow(80, null),
      ];
      (udp.original as { protocol: number }).protocol = 17;
      kernel.flows = [without, old, right, other, udp];
      expect(await apply(create(forward(80)))).toEqual([]);
      kernel.endLateFlows();
      expect(kernel.flows.map(({ id }) => id)).toEqual([right.id, other.id, udp.id]);

      const moved = forward(80, "192.168.77.3");
      await apply({ op: "update", key: moved.key, desired: moved, observed: forward(80).spec });
      expect(kernel.flows.map(({ id }) => id)).toEqual([other.id, udp.id]);
    });

    it("gets to the flows of a moved forward that could not be listed, though the row itself is right by then", async () => {
      await apply(create(forward(80)));
      const moved = forward(80, "192.168.77.3");
      kernel.endLateFlows();
      kernel.flows = [flow(80, HOST)];
      kernel.flowFaults = 1;
      const change = { op: "update", key: moved.key, desired: moved, observed: forward(80).spec } as const;
      expect(await target.apply([change], signal)).toMatchObject([{ ok: false, error: { disposition: "transient" } }]);
      // Whoever looks now finds nothing to repeat.
      expect((await target.observe(signal)).get(moved.key)).toEqual(moved.spec);
      kernel.endLateFlows();
      expect(kernel.flows).toEqual([]);
    });

    it("keeps to itself that the flows of others could not be listed: a new forward is made all the same", async () => {
      kernel.flowFaults = 1;
      const outcomes = await target.apply([create(severed(90, 1)), create(forward(80))], signal);
      expect(outcomes.map(({ key, ok }) => [key, ok])).toEqual([
        [severed(90, 1).key, false],
        [forward(80).key, true],
      ]);
    });

    it("judges the flows of what an earlier process forwarded too: it may have died before it got to them", async () => {
      await apply(create(forward(80)));
      kernel.flows = [flow(80, null), flow(80, HOST)];
      const [, right] = kernel.flows;
      await createForwardsTarget(kernel.open(INSTANCE)).observe(new AbortController().signal);
      kernel.endLateFlows();
      expect(kernel.flows.map(({ id }) => id)).toEqual([right?.id]);
    });

    it("leaves the flows of a new forward alone that is flushed or ends before they are judged", async () => {
      await apply(create(forward(80)));
      kernel.flows = [flow(80, HOST)];
      kernel.foreign("delete table inet portreeve");
      kernel.endLateFlows();
      expect(kernel.flows.map(({ mark }) => mark)).toEqual([0]);
    });

    it("leaves established flows alone when a forward goes", async () => {
      await apply(create(forward(80)));
      kernel.flows = [flow(80, HOST)];
      await apply(remove(forward(80)));
      expect(kernel.flows).toHaveLength(1);
      expect(kernel.flows[0]?.mark).toBe(0);
    });

    it("refuses the flows of severed ports from then on, but leaves the gateway's own and its neighbours'", async () => {
      const [natted, last, beside, own] = [flow(80, HOST), flow(82, HOST), flow(83, HOST), flow(81, null)];
      kernel.flows = [natted, last, beside, own];
      expect(await apply(create(severed(80, 3)))).toEqual([]);
      expect(kernel.flows.filter(({ mark }) => mark === MARK_SEVERED).map(({ id }) => id)).toEqual([
        natted.id,
        last.id,
      ]);
    });

    it("forgets a severed flow when its port is mapped again, to the same host too", async () => {
      kernel.flows = [flow(80, HOST, { mark: MARK_SEVERED }), flow(80, HOST)];
      await apply(create(forward(80)), create(severed(80, 1)));
      expect(kernel.flows).toHaveLength(1);
      expect(kernel.flows[0]?.mark).toBe(0);
    });

    it("forgets all NATed flows of an address that is lost, in both directions", async () => {
      const outward = flow(80, null, { sourceNat: true });
      Object.assign(outward, {
        original: { ...outward.original, destination: 1 },
        reply: { ...outward.reply, destination: address(WAN) },
      });
      const own = flow(22, null);
      kernel.flows = [flow(80, HOST), outward, own];
      await apply(create(severed(0, 0)));
      expect(kernel.flows.map(({ id }) => id)).toEqual([own.id]);
    });

    it("judges by the range where no single port is mapped, and by the single port where one is", async () => {
      const udp = (port: number, to: string, toPort: number): Flow => {
        const made = flow(port, to);
        return {
          ...made,
          original: { ...made.original, protocol: 17 },
          reply: { ...made.reply, protocol: 17, sourcePort: toPort },
        };
      };
      const [inRange, single, stale] = [udp(4001, HOST, 4001), udp(4002, "192.168.77.5", 8080), udp(4003, HOST, 8080)];
      kernel.flows = [inRange, single, stale];
      await apply(create(forward(4002, "192.168.77.5", "udp")), create(range(4000, 4010)));
      kernel.endLateFlows();
      expect(kernel.flows.map(({ id }) => id)).toEqual([inRange.id, single.id]);
    });

    it("reports a severed row only while its act is done, and does it again after a start", async () => {
      await apply(create(severed(80, 1)));
      expect((await target.observe(signal)).get(severed(80, 1).key)).toEqual(severed(80, 1).spec);
      const restarted = createForwardsTarget(kernel.open(INSTANCE));
      expect((await restarted.observe(signal)).has(severed(80, 1).key)).toBe(false);
      await apply(remove(severed(80, 1)));
      expect((await target.observe(signal)).has(severed(80, 1).key)).toBe(false);
    });
  });
});
