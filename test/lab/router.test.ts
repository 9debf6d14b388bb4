import { describe, expect } from "vitest";
import type { TrafficDocument } from "../../src/api/schemas/device.ts";
import { eventually, type Lab, scenario } from "./lab.ts";
import { encodeMap } from "./programs/pcp-wire.mjs";
import { batch, WAN_GATEWAY, WAN_STRANGER } from "./topology.mjs";
import { TunnelPeer, tunnelName } from "./tunnel.ts";

/** Twice a second, on a machine that is busy with other labs. */
const SAMPLED_WITHIN_MS = 20_000;
const NEEDS = ["wg", "wg-quick", "wireguard-go", "natpmpc"];

interface SubnetJson {
  readonly gateway: string;
  readonly prefix: string;
}

const options = () => ({
  needs: NEEDS,
  peers: 2,
  timeoutMs: 120_000,
  config: { lan: [{ interface: "lan0" }], wireguard: { interface: tunnelName() } },
});

/** The router's own address in its first subnet. */
async function gatewayOf(lab: Lab): Promise<string> {
  const [subnet] = await lab.gateway.json<SubnetJson[]>("subnet", "list");
  return subnet?.gateway ?? "";
}

async function add(lab: Lab, name: string, ...more: string[]): Promise<void> {
  const added = await lab.gateway.cli("device", "add", name, ...more);
  expect(added, added.stderr).toMatchObject({ code: 0 });
}

/** A peer from its configuration alone; brought down again however the scenario ends. */
async function withPeers(peers: readonly Promise<TunnelPeer>[], body: (peers: TunnelPeer[]) => Promise<void>) {
  const up = await Promise.all(peers);
  try {
    await body(up);
  } finally {
    for (const peer of up) await peer.down();
  }
}

describe("[W1] [W2] [W3] a device with nothing but its configuration", () => {
  scenario("of kind server maps a port, and the internet reaches it with its own address", options(), async (lab) => {
    await add(lab, "nas", "--kind", "server");
    const [host] = lab.topology.peers;
    if (host === undefined) throw new Error("no peer");
    await withPeers([TunnelPeer.up(host, lab.gateway, "nas")], async ([nas]) => {
      if (nas === undefined) return;
      await nas.agent.listen({ tcp: [9001] });
      const told = await host.exec("natpmpc", "-g", await gatewayOf(lab), "-a", "20001", "9001", "tcp", "3600");
      expect(told).toContain(`Public IP address : ${WAN_GATEWAY}`);
      const echo = await lab.internet.tcp({ host: WAN_GATEWAY, port: 20001, payload: "ping" });
      expect(echo).toMatchObject({ sawAddress: WAN_STRANGER, payload: "ping" });
      // WireGuard is asked now and then.
      await eventually(async () => {
        const [device] = await lab.gateway.json<{ tunnel: { handshakeAt: string | null } }[]>("device", "list");
        expect(device?.tunnel.handshakeAt).not.toBeNull();
      }, SAMPLED_WITHIN_MS);
      await eventually(async () => {
        const { traffic } = await lab.gateway.json<{ traffic: TrafficDocument }>("device", "show", "nas");
        const { receivedBytes = 0, sentBytes = 0 } = traffic.slots.at(-1) ?? {};
        expect([traffic.slots.length, receivedBytes > 100, sentBytes > 100]).toEqual([288, true, true]);
      }, SAMPLED_WITHIN_MS);
    });
  });

  scenario("of kind client is refused, and maps the moment it is allowed", options(), async (lab) => {
    await add(lab, "pad");
    const [host] = lab.topology.peers;
    if (host === undefined) throw new Error("no peer");
    await withPeers([TunnelPeer.up(host, lab.gateway, "pad", "--profile", "split")], async ([pad]) => {
      if (pad === undefined) return;
      const server = await gatewayOf(lab);
      const bytes = encodeMap({ client: pad.address, protocol: "tcp", internalPort: 8080, lifetime: 600 });
      // RFC 6887 §7.4: NOT_AUTHORIZED is 2.
      expect(await pad.agent.pcp({ server, bytes, timeoutMs: 8000 })).toMatchObject({ result: 2 });
      expect(await lab.gateway.cli("device", "allow", "pad", "ports")).toMatchObject({ code: 0 });
      expect(await pad.agent.pcp({ server, bytes, timeoutMs: 8000 })).toMatchObject({ result: 0 });
      expect(await lab.gateway.cli("device", "deny", "pad", "ports")).toMatchObject({ code: 0 });
      expect(await lab.gateway.ports()).toEqual([]);
      expect(await lab.gateway.cli("device", "ask", "pad", "ports")).toMatchObject({ code: 0 });
      expect(await pad.agent.pcp({ server, bytes, timeoutMs: 8000 })).toMatchObject({ result: 2 });
      const pending = await lab.gateway.json<{ from: string }[]>("request", "list", "--pending");
      expect(pending[0]).toMatchObject({ from: pad.address });
      expect(await lab.gateway.cli("device", "allow", "pad", "8080/tcp")).toMatchObject({ code: 0 });
      expect(await pad.agent.pcp({ server, bytes, timeoutMs: 8000 })).toMatchObject({ result: 0 });
    });
  });

  scenario("reaches the other devices, and the internet from the gateway's address", options(), async (lab) => {
    await add(lab, "nas", "--kind", "server");
    await add(lab, "pad");
    const [one, two] = lab.topology.peers;
    if (one === undefined || two === undefined) throw new Error("no peers");
    const up = [TunnelPeer.up(one, lab.gateway, "nas"), TunnelPeer.up(two, lab.gateway, "pad")];
    await withPeers(up, async ([nas, pad]) => {
      if (nas === undefined || pad === undefined) return;
      await nas.agent.listen({ tcp: [9001] });
      await lab.internet.listen({ tcp: [9002] });
      const among = await pad.agent.tcp({ host: nas.address, port: 9001, payload: "hello" });
      expect(among).toMatchObject({ sawAddress: pad.address, payload: "hello" });
      // Profile `full`: all of the device's traffic goes through the tunnel.
      const out = await pad.agent.tcp({ host: WAN_STRANGER, port: 9002, payload: "out" });
      expect(out).toMatchObject({ sawAddress: WAN_GATEWAY, payload: "out" });
    });
  });

  scenario(
    "[W6] with a WAN of its own is told, reached by and seen from that one's address",
    options(),
    async (lab) => {
      const own = "11.22.33.9";
      await batch(lab.topology.gateway.namespace, [`address add ${own}/24 dev wan0`]);
      await add(lab, "nas", "--kind", "server");
      // Once the address is known there: it settles for two seconds.
      await eventually(async () => {
        expect(await lab.gateway.cli("device", "edit", "nas", "--wan", own)).toMatchObject({ code: 0 });
      }, 15_000);
      const [host] = lab.topology.peers;
      if (host === undefined) throw new Error("no peer");
      await withPeers([TunnelPeer.up(host, lab.gateway, "nas", "--profile", "full")], async ([nas]) => {
        if (nas === undefined) return;
        await nas.agent.listen({ tcp: [9001] });
        await lab.internet.listen({ tcp: [9002] });
        const told = await host.exec("natpmpc", "-g", await gatewayOf(lab), "-a", "20001", "9001", "tcp", "3600");
        expect(told).toContain(`Public IP address : ${own}`);
        expect(await lab.internet.tcp({ host: own, port: 20001, payload: "ping" })).toMatchObject({ payload: "ping" });
        expect(await lab.internet.refusedTcp({ host: WAN_GATEWAY, port: 20001 })).not.toBeNull();
        expect(await nas.agent.tcp({ host: WAN_STRANGER, port: 9002, payload: "out" })).toMatchObject({
          sawAddress: own,
        });
        // Taken back, it is like the others again, with the same port.
        expect(await lab.gateway.cli("device", "edit", "nas", "--wan", "default")).toMatchObject({ code: 0 });
        expect(await lab.internet.tcp({ host: WAN_GATEWAY, port: 20001, payload: "ping" })).toMatchObject({
          payload: "ping",
        });
        expect(await nas.agent.tcp({ host: WAN_STRANGER, port: 9002 })).toMatchObject({ sawAddress: WAN_GATEWAY });
      });
      await lab.gateway.cli("device", "remove", "nas", "--yes");
    },
  );

  scenario(
    "[F8] in profile split sees visitors come from the gateway, and only those it is open to",
    options(),
    async (lab) => {
      await add(lab, "nas", "--kind", "server", "--profile", "split");
      const [host] = lab.topology.peers;
      if (host === undefined) throw new Error("no peer");
      await withPeers([TunnelPeer.up(host, lab.gateway, "nas")], async ([nas]) => {
        if (nas === undefined) return;
        await nas.agent.listen({ tcp: [9001] });
        const forward = await lab.gateway.cli("port", "add", "20001:9001/tcp", nas.address, "--from", "11.22.33.0/24");
        expect(forward, forward.stderr).toMatchObject({ code: 0 });
        const through = { host: WAN_GATEWAY, port: 20001, payload: "ping" };
        expect(await lab.internet.tcp(through)).toMatchObject({ sawAddress: await gatewayOf(lab), payload: "ping" });
        const [port] = await lab.gateway.ports();
        expect(port).toMatchObject({ sourceAddress: "gateway", from: ["11.22.33.0/24"] });
        const narrowed = await lab.gateway.cli("port", "edit", "20001/tcp", "--from", "198.51.100.0/24");
        expect(narrowed, narrowed.stderr).toMatchObject({ code: 0 });
        expect(await lab.internet.refusedTcp(through)).not.toBeNull();
        // Nobody in the internet may reach it now: the scan of the WAN at the end has to find it open.
        expect(await lab.gateway.cli("port", "edit", "20001/tcp", "--from", "anywhere")).toMatchObject({ code: 0 });
      });
    },
  );

  scenario("is gone with its peer and its ports when it is removed, also by its end", options(), async (lab) => {
    await add(lab, "box", "--kind", "server");
    await add(lab, "nas", "--kind", "server", "--for", "8s");
    const { interface: iface } = (await lab.gateway.json<{ interface: string }[]>("device", "list"))[0] ?? {};
    const peers = async (): Promise<number> => {
      const dump = await lab.topology.gateway.exec("wg", "show", iface ?? "", "peers");
      return dump.split("\n").filter((line) => line !== "").length;
    };
    expect(await peers()).toBe(2);
    await eventually(async () => expect(await peers()).toBe(1), 15_000);
    expect(await lab.gateway.cli("device", "remove", "box", "--yes")).toMatchObject({ code: 0 });
    await eventually(async () => {
      expect(await lab.topology.gateway.exec("ip", "-br", "link")).not.toContain(iface);
    }, 10_000);
  });
});
