import { describe } from "vitest";
import type { Change, Desired, Target } from "../../src/reconcilers/contract.ts";
import { sameRow } from "../../src/reconcilers/same-row.ts";
import type { ForwardRow } from "../../src/reducers/select/rows.ts";
import { describeTargetConformance } from "../unit/reconcilers/target-conformance.ts";
import { keyOf, mappingRows, NftablesDriver } from "./nftables-driver.ts";
import { createTopology, missingForLab, WAN_GATEWAY } from "./topology.mjs";

const INSTANCE = "0011223344556677";
const WATCH_MS = 20;

const desired = (spec: ForwardRow): Desired<ForwardRow> => ({ key: keyOf(spec), spec, owners: ["test"], revision: 1 });
const range = (firstPort: number, lastPort: number, toAddress: string): Desired<ForwardRow> =>
  desired({ kind: "range", address: WAN_GATEWAY, protocol: "udp", firstPort, lastPort, toAddress });

/** `unchanged` answers at once, which no other process can be asked to: tests beside this suite cover it. */
function targetOf(driver: NftablesDriver): Target<ForwardRow, ForwardRow> {
  return {
    name: "nftables-forwards",
    observe: async () => new Map(Object.entries(await driver.observe("forwards"))) as Map<string, ForwardRow>,
    apply: (plan: readonly Change<ForwardRow, ForwardRow>[]) => driver.apply("forwards", plan),
    watch: (onDrift) => {
      const timer = setInterval(async () => {
        for (const { target, by } of await driver.drifts()) if (target === "forwards") onDrift(by);
      }, WATCH_MS);
      return { close: () => clearInterval(timer) };
    },
  };
}

const PINHOLE = { address: "2001:db8:77::2", protocol: "tcp", port: 8080 } as const;
const PINHOLES: readonly ForwardRow[] = [
  { kind: "pinhole", ...PINHOLE, protocol: "udp" },
  { kind: "pinholeFrom", ...PINHOLE, from: "2001:db8:33::/48" },
  { kind: "pinholeFrom", ...PINHOLE, from: "2001:db8:34::7/128" },
  { kind: "pinholeFrom", ...PINHOLE, port: 8081, from: "8000::/1" },
  { kind: "pinholeFromPort", ...PINHOLE, from: "2001:db8:35::/61", fromPort: 5060 },
];

describe.skipIf(missingForLab() !== null)("on a real kernel", () => {
  const traits = { vouches: false, watches: true, rivals: true, refuses: true };
  describeTargetConformance("the forwards target", traits, async () => {
    const topology = await createTopology({ clients: 0 });
    const { gateway } = topology;
    const driver = new NftablesDriver(gateway, INSTANCE);
    return {
      target: targetOf(driver),
      matches: sameRow,
      ground: [desired({ kind: "skeleton", instanceId: INSTANCE, wans: ["wan0"], lans: ["lan0"] })],
      rows: [
        range(4000, 4099, "192.168.77.2"),
        ...(mappingRows("tcp", 80, "192.168.77.2", 8080) as ForwardRow[]).map(desired),
        ...PINHOLES.map(desired),
      ],
      changedFirst: range(4000, 4099, "192.168.77.3"),
      rivalOfFirst: range(4050, 4149, "192.168.77.2"),
      refused: range(70_000, 70_001, "192.168.77.2"),
      tamper: async () => {
        await gateway.exec(
          "nft",
          "delete",
          "element",
          "inet",
          "portreeve",
          "ranges",
          `{ ${WAN_GATEWAY} . udp . 4000-4099 }`,
        );
      },
      foreign: async () => {
        await gateway.exec("nft", "add", "table", "inet", "other");
        return await gateway.exec("nft", "list", "table", "inet", "other");
      },
      close: async () => {
        await driver.close();
        await topology.close();
      },
    };
  });
});
