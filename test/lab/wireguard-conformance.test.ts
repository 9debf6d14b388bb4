import { describe } from "vitest";
import { generateKeyPair, generatePresharedKey } from "../../src/adapters/wireguard/keys.ts";
import type { Desired, Target } from "../../src/reconcilers/contract.ts";
import { wireguard, type WireguardObservation } from "../../src/reconcilers/wireguard.ts";
import type { WireguardRow } from "../../src/reducers/select/rows.ts";
import { describeTargetConformance } from "../unit/reconcilers/target-conformance.ts";
import { createTopology, findProgram, missingForLab } from "./topology.mjs";
import { desired, WireguardDriver } from "./wireguard-driver.ts";

const WATCH_MS = 20;
/** Sockets of wireguard-go are files, which namespaces of networks share: names must be our own. */
const INTERFACE = `wgc${process.pid}`;
const missing = missingForLab() ?? ["wg", "wireguard-go"].find((program) => findProgram(program) === null) ?? null;

/**
 * `unchanged` answers at once, which no other process can be asked to: tests beside this suite cover it. What is applied
 * is wanted, as it is in the daemon.
 */
function targetOf(driver: WireguardDriver): Target<WireguardRow, WireguardObservation> {
  const wanted = new Map<string, Desired<WireguardRow>>();
  return {
    name: "wireguard",
    observe: async () => new Map(Object.entries(await driver.observe())),
    apply: async (plan) => {
      for (const change of plan) {
        if (change.op === "delete") wanted.delete(change.key);
        else wanted.set(change.key, change.desired);
      }
      await driver.want([...wanted.values()]);
      return await driver.apply(plan);
    },
    watch: (onDrift) => {
      void driver.watch();
      const timer = setInterval(async () => {
        for (const by of await driver.drifts()) onDrift(by);
      }, WATCH_MS);
      return { close: () => clearInterval(timer) };
    },
  };
}

describe.skipIf(missing !== null)("on a real interface", () => {
  const traits = { vouches: false, watches: true, rivals: true, refuses: true };
  describeTargetConformance("the WireGuard target", traits, async () => {
    const topology = await createTopology({ clients: 0 });
    const { gateway } = topology;
    const driver = new WireguardDriver(gateway, "0011223344556677");
    const ours = generateKeyPair();
    const peers = [generateKeyPair(), generateKeyPair(), generateKeyPair(), generateKeyPair()];
    await driver.seal("s-link", ours.privateKey);
    await driver.seal("s-psk", generatePresharedKey());
    await driver.seal("s-other", generatePresharedKey());
    const peer = (index: number, address: string, presharedKeySecret: string | null) =>
      desired({
        kind: "peer",
        publicKey: peers[index]?.publicKey ?? "",
        presharedKeySecret,
        allowedIps: [`${address}/32`],
      });
    const ground = desired({
      kind: "link",
      interface: INTERFACE,
      listenPort: 51820,
      publicKey: ours.publicKey,
      privateKeySecret: "s-link",
    });
    const rows = [peer(0, "10.59.7.2", "s-psk"), peer(1, "10.59.7.3", "s-psk"), peer(2, "10.59.7.4", null)];
    const changedFirst = peer(0, "10.59.7.9", "s-other");
    const rivalOfFirst = peer(3, "10.59.7.2", "s-psk");
    return {
      target: targetOf(driver),
      matches: wireguard().matches,
      ground: [ground],
      rows,
      changedFirst,
      rivalOfFirst,
      refused: peer(3, "10.59.7.5", "s-erased"),
      tamper: async () => {
        await gateway.exec("wg", "set", INTERFACE, "peer", peers[0]?.publicKey ?? "", "remove");
      },
      foreign: async () => {
        await gateway.exec("ip", "link", "add", "other0", "type", "bridge").catch(() => undefined);
        return await gateway.exec("ip", "-o", "link", "show", "other0");
      },
      close: async () => {
        await driver.close();
        await topology.close();
      },
    };
  });
});
