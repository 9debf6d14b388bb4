import { describe, expect } from "vitest";
import { eventually, scenario } from "./lab.ts";
import {
  encodeAnnounce,
  encodeMap,
  FILTER_CLEAR,
  filterOption,
  NATPMP_ADDRESS_REQUEST,
  newNonce,
  portSetOption,
} from "./programs/pcp-wire.mjs";
import { descriptionOf } from "./upnp-clients.ts";
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
    // Long enough for the kernel to know the flow, which leads nowhere.
    await new Promise((resolve) => setTimeout(resolve, 300));
    await lab.map(client, { protocol: "udp", internalPort: 8080, suggestedPort: 8080, lifetime: 3600 });
    await eventually(async () => expect((await lab.internet.peerAnswers("early")).length).toBeGreaterThan(5));
    const { answers } = await lab.internet.stopPeer("early");
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

  scenario(
    "[P4] [P5] [P9] lets in by a FILTERed mapping whom it names, and forwards each port of a set",
    { needs: ["upnpc"] },
    async (lab) => {
      const client = lab.client();
      const other = "11.22.33.77";
      await lab.internet.host.exec("ip", "address", "add", `${other}/24`, "dev", "wan0");
      await client.listen({ tcp: [8080], udp: [8080, 6000, 6001, 6006, 6007, 6008] });
      const nonce = newNonce();
      const filtered = async (protocol: "tcp" | "udp", ...options: string[]) => {
        const request = { protocol, internalPort: 8080, suggestedPort: 8080, lifetime: 3600, nonce } as const;
        const asked = options.join("");
        expect(await lab.map(client, { ...request, options: asked })).toMatchObject({ result: 0, options: asked });
      };
      const target = { host: WAN_GATEWAY, port: 8080 };

      await filtered("tcp", filterOption(WAN_STRANGER, 32));
      expect(await lab.internet.tcp(target)).toMatchObject({ by: "c0", sawAddress: WAN_STRANGER });
      expect(await lab.internet.refusedTcp({ ...target, from: other })).not.toBeNull();
      await lab.internet.openStream("named", target);
      // One more peer; then, instead of all before, a network and one port of its hosts.
      await filtered("tcp", filterOption(other, 32));
      expect(await lab.internet.tcp({ ...target, from: other })).toMatchObject({ by: "c0", sawAddress: other });
      await filtered("tcp");
      expect(await lab.internet.say("named", "still here")).toMatchObject({ payload: "still here" });
      // A network that holds both hosts takes their place, and one of them its again.
      await filtered("tcp", FILTER_CLEAR, filterOption(WAN_STRANGER, 24));
      expect(await lab.internet.tcp({ ...target, from: other })).toMatchObject({ by: "c0" });
      await filtered("tcp", FILTER_CLEAR, filterOption(other, 32));
      expect(await lab.internet.refusedTcp(target)).not.toBeNull();
      await filtered("tcp", FILTER_CLEAR, filterOption(WAN_STRANGER, 24, 5060));
      expect(await lab.internet.refusedTcp(target)).not.toBeNull();
      expect(await lab.internet.tcp({ ...target, from: other, fromPort: 5060 })).toMatchObject({ sawPort: 5060 });
      await filtered("tcp", FILTER_CLEAR);
      expect(await lab.internet.tcp(target)).toMatchObject({ by: "c0" });
      await filtered("udp", filterOption("198.51.100.0", 24));
      expect(await lab.internet.refusedUdp(target)).not.toBeNull();

      // By UPnP the one peer is the remote host, of an entry of its own.
      const upnpc = (...args: string[]) => client.host.exec("upnpc", "-u", descriptionOf(lab), ...args);
      await upnpc("-a", "@", "8080", "18080", "TCP", "600", other);
      const entry = { host: WAN_GATEWAY, port: 18080 };
      expect(await lab.internet.tcp({ ...entry, from: other })).toMatchObject({ by: "c0", sawAddress: other });
      expect(await lab.internet.refusedTcp(entry)).not.toBeNull();
      await upnpc("-a", "@", "8080", "18080", "TCP", "600", WAN_STRANGER);
      expect(await lab.internet.tcp(entry)).toMatchObject({ by: "c0", sawAddress: WAN_STRANGER });
      await upnpc("-d", "18080", "TCP", other);
      expect(await lab.internet.refusedTcp({ ...entry, from: other })).not.toBeNull();

      const set = { protocol: "udp", internalPort: 6000, suggestedPort: 6000, lifetime: 3600, nonce } as const;
      const got = await lab.map(client, { ...set, options: portSetOption(8, 6000) });
      expect(got).toMatchObject({ result: 0, externalPort: 6000, options: portSetOption(8, 6000) });
      for (const port of [6000, 6001, 6007]) {
        expect(await lab.internet.udp({ host: WAN_GATEWAY, port }), `${port}`).toMatchObject({ by: "c0" });
      }
      expect(await lab.internet.refusedUdp({ host: WAN_GATEWAY, port: 6008 })).not.toBeNull();
      // Another set, elsewhere outside: each port has its own there, both ways.
      const moved = await lab.map(client, {
        ...set,
        internalPort: 6006,
        suggestedPort: 7000,
        options: portSetOption(8, 6006),
      });
      expect(moved).toMatchObject({ result: 0, externalPort: 6000, options: portSetOption(8, 6000) });
      const renumbered = await lab.map(client, {
        ...set,
        internalPort: 6008,
        suggestedPort: 7000,
        options: portSetOption(4, 6008),
      });
      expect(renumbered).toMatchObject({ result: 0, externalPort: 7000, options: portSetOption(4, 6008) });
      expect(await lab.internet.udp({ host: WAN_GATEWAY, port: 7000 })).toMatchObject({ by: "c0" });
      await lab.internet.listen({ udp: [5000] });
      const out = await client.udp({ host: WAN_STRANGER, port: 5000, fromPort: 6009 });
      expect(out).toMatchObject({ by: "inet", sawAddress: WAN_GATEWAY, sawPort: 7001 });
      expect(await lab.map(client, { ...set, internalPort: 6003, lifetime: 0 })).toMatchObject({ result: 0 });
      for (const port of [6000, 6007]) {
        expect(await lab.internet.refusedUdp({ host: WAN_GATEWAY, port })).not.toBeNull();
      }
    },
  );
});
