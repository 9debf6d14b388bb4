import { describe, expect } from "vitest";
import { eventually, scenario } from "./lab.ts";
import { encodeAnnounce, encodeMap, NATPMP_ADDRESS_REQUEST } from "./programs/pcp-wire.mjs";
import { LAN_GATEWAY, LAN1_GATEWAY, WAN_GATEWAY, WAN_STRANGER } from "./topology.mjs";

describe("the data plane", () => {
  scenario(
    "[F4] hairpins from the same LAN, from another LAN and from the gateway itself",
    { clients: 2, lan1: true },
    async (lab) => {
      const client = lab.client();
      await client.listen({ tcp: [8080], udp: [8080] });
      for (const protocol of ["tcp", "udp"] as const) {
        await lab.map(client, { protocol, internalPort: 8080, suggestedPort: 8080, lifetime: 3600 });
      }
      const inside = [lab.client(1), lab.lan1Client, lab.onGateway, client];
      for (const peer of inside) {
        if (peer === null) throw new Error("the lab has no second LAN");
        const name = `from ${peer.host.name}`;
        const target = { host: WAN_GATEWAY, port: 8080, payload: "hairpin" };
        expect(await peer.tcp(target), name).toMatchObject({ by: "c0", payload: "hairpin" });
        expect(await peer.udp(target), name).toMatchObject({ by: "c0", payload: "hairpin" });
      }
      // Another segment keeps its source: the way back leads through us anyway.
      const seen = await lab.lan1Client?.tcp({ host: WAN_GATEWAY, port: 8080 });
      expect(seen?.sawAddress).toBe(lab.lan1Client?.address);
    },
  );

  scenario("[F4] gives a mapped port its external port on the way out", {}, async (lab) => {
    const client = lab.client();
    await lab.internet.listen({ udp: [5000] });
    await lab.map(client, { protocol: "udp", internalPort: 6000, suggestedPort: 6100, lifetime: 3600 });
    const out = await client.udp({ host: WAN_STRANGER, port: 5000, fromPort: 6000 });
    expect(out).toMatchObject({ by: "inet", sawAddress: WAN_GATEWAY, sawPort: 6100 });
    const other = await client.udp({ host: WAN_STRANGER, port: 5000 });
    expect(other.sawAddress).toBe(WAN_GATEWAY);
  });

  scenario(
    "[F4] lets no host on the LAN shadow a mapped port or a port of the gateway's own (CVE-2021-3773)",
    { clients: 2 },
    async (lab) => {
      const [client, attacker] = [lab.client(0), lab.client(1)];
      await client.listen({ udp: [6000] });
      await lab.onGateway.listen({ udp: [51820] });
      await lab.internet.listen({ udp: [5000] });
      await lab.map(client, { protocol: "udp", internalPort: 6000, suggestedPort: 6100, lifetime: 3600 });
      await eventually(async () => {
        // The gateway's own listener is ours once it was observed; a flow from before that would keep its port.
        await lab.topology.gateway.exec("conntrack", "-D", "-p", "udp").catch(() => undefined);
        const probe = await attacker.udp({ host: WAN_STRANGER, port: 5000, fromPort: 51820 });
        expect(probe.sawPort).not.toBe(51820);
      });

      for (const port of [6100, 51820]) {
        const seen = await attacker.udp({ host: WAN_STRANGER, port: 5000, fromPort: port });
        expect(seen.sawPort, `source port ${port} stays its owner's`).not.toBe(port);
        await attacker.startPeer(`shadow ${port}`, { host: WAN_STRANGER, port: 5000, fromPort: port });
      }
      // The stranger now sends to the shadowed port from exactly the address and port the attacker talks to.
      const mapped = await lab.internet.udp({ host: WAN_GATEWAY, port: 6100, payload: "for the owner" });
      expect(mapped).toMatchObject({ by: "c0", payload: "for the owner" });
      for (const port of [6100, 51820]) {
        const { answers } = await attacker.stopPeer(`shadow ${port}`);
        expect(answers.every((answer) => answer.startsWith("inet|"))).toBe(true);
        expect(answers.some((answer) => answer.includes("for the owner"))).toBe(false);
      }
      // The administrator's own service may be reached from the WAN; the scan that follows knows only what we granted.
      await lab.onGateway.stopListening({ udp: [51820] });
    },
  );

  scenario("[F4] lets a UDP peer through that was already sending when the mapping was made", {}, async (lab) => {
    const client = lab.client();
    await client.listen({ udp: [8080] });
    await lab.internet.startPeer("early", { host: WAN_GATEWAY, port: 8080, fromPort: 40404 });
    await new Promise((resolve) => setTimeout(resolve, 300));
    await lab.map(client, { protocol: "udp", internalPort: 8080, suggestedPort: 8080, lifetime: 3600 });
    await new Promise((resolve) => setTimeout(resolve, 500));
    const { answers } = await lab.internet.stopPeer("early");
    expect(answers.length).toBeGreaterThan(5);
    expect(answers[0]).toContain("c0|");
  });

  scenario("[P11] [F4] answers port control on served LANs only, whoever routes to it", { lan1: true }, async (lab) => {
    await lab.internet.listen({ tcp: [5000] });
    const bytes = [
      encodeAnnounce(WAN_STRANGER),
      encodeMap({ client: WAN_STRANGER, protocol: "tcp", internalPort: 8080, lifetime: 3600 }),
      NATPMP_ADDRESS_REQUEST,
    ];
    for (const server of [WAN_GATEWAY, LAN_GATEWAY, LAN1_GATEWAY]) {
      for (const each of bytes) {
        expect(await lab.internet.pcp({ server, bytes: each, timeoutMs: 600 }), server).toBeNull();
      }
    }
    const lan1 = lab.lan1Client;
    if (lan1 === null) throw new Error("the lab has no second LAN");
    const own = await lan1.pcp({ server: LAN1_GATEWAY, bytes: encodeAnnounce(lan1.address) });
    expect(own).toMatchObject({ result: 0 });
    expect(await lab.gateway.ports()).toEqual([]);
    // LANs reach the internet through it.
    expect(await lab.client().tcp({ host: WAN_STRANGER, port: 5000 })).toMatchObject({ sawAddress: WAN_GATEWAY });
  });
});
