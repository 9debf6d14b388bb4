import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect } from "vitest";
import { eventually, type Lab, scenario } from "./lab.ts";
import { encodeAnnounce, NATPMP_ADDRESS_REQUEST } from "./programs/pcp-wire.mjs";
import { WAN_GATEWAY, WAN_STRANGER } from "./topology.mjs";

const BITTORRENT = fileURLToPath(new URL("programs/bittorrent.py", import.meta.url));
const PYTHON = "/usr/bin/python3";

/** What a client on the LAN gets from the gateway, seen from the internet. */
describe("a client on the LAN", () => {
  scenario("[P8] [F4] maps with natpmpc, and the internet reaches it there", { needs: ["natpmpc"] }, async (lab) => {
    const client = lab.client();
    await client.listen({ tcp: [9001], udp: [9000] });
    const told = await client.host.exec("natpmpc", "-a", "20001", "9001", "tcp", "3600");
    expect(told).toContain("Public IP address : 11.22.33.1");
    expect(told).toMatch(/Mapped public port 20001 protocol TCP to local port 9001 liftime 3600/);
    const udp = await client.host.exec("natpmpc", "-g", lab.server, "-a", "20000", "9000", "udp", "3600");
    expect(udp).toMatch(/Mapped public port 20000 protocol UDP to local port 9000/);

    const byTcp = await lab.internet.tcp({ host: WAN_GATEWAY, port: 20001, payload: "ping" });
    expect(byTcp).toMatchObject({ by: "c0", sawAddress: WAN_STRANGER, payload: "ping" });
    const byUdp = await lab.internet.udp({ host: WAN_GATEWAY, port: 20000, payload: "pong" });
    expect(byUdp).toMatchObject({ by: "c0", sawAddress: WAN_STRANGER, payload: "pong" });

    await client.host.exec("natpmpc", "-g", lab.server, "-a", "0", "9000", "udp", "0");
    await client.host.exec("natpmpc", "-g", lab.server, "-a", "0", "0", "tcp", "0");
    expect(await lab.gateway.ports()).toEqual([]);
  });

  scenario(
    "[P1] [P13] is a BitTorrent client that maps by real PCP, and takes its mappings back at its end",
    { needs: [PYTHON.slice("/usr/bin/".length)], timeoutMs: 90_000 },
    async (lab) => {
      const client = lab.client();
      const torrent = client.host.spawn([PYTHON, BITTORRENT, `${client.address}:6881`], {
        stdio: ["pipe", "pipe", "inherit"],
      });
      const alerts: { event: string; externalPort?: number; message: string }[] = [];
      if (torrent.stdout === null) throw new Error("libtorrent has no stdout");
      createInterface({ input: torrent.stdout }).on("line", (line) => alerts.push(JSON.parse(line)));
      await eventually(async () => {
        expect(alerts.filter(({ event }) => event === "mapped").length).toBeGreaterThanOrEqual(2);
      }, 20_000);
      expect(alerts.filter(({ event }) => event === "error")).toEqual([]);
      const ports = await lab.gateway.ports();
      expect(new Set(ports.map((port) => `${port.protocol} ${port.internal.port} ${port.source}`))).toEqual(
        new Set(["tcp 6881 pcp", "udp 6881 pcp"]),
      );
      torrent.stdin?.end();
      await eventually(async () => expect(await lab.gateway.ports()).toEqual([]), 10_000);
    },
  );

  scenario("[P1] [F4] maps by raw PCP bytes; only the mapped protocol is open", {}, async (lab) => {
    const client = lab.client();
    await client.listen({ tcp: [8080, 8081], udp: [8080, 8081] });
    const tcp = await lab.map(client, { protocol: "tcp", internalPort: 8080, suggestedPort: 8080, lifetime: 3600 });
    expect(tcp).toMatchObject({
      version: 2,
      opcode: 1,
      result: 0,
      length: 60,
      protocol: 6,
      internalPort: 8080,
      externalPort: 8080,
      externalAddress: WAN_GATEWAY,
      lifetime: 3600,
    });
    expect(await lab.internet.tcp({ host: WAN_GATEWAY, port: 8080, payload: "over tcp" })).toMatchObject({
      by: "c0",
      sawAddress: WAN_STRANGER,
      payload: "over tcp",
    });
    expect(await lab.internet.refusedUdp({ host: WAN_GATEWAY, port: 8080 })).not.toBeNull();

    const udp = await lab.map(client, { protocol: "udp", internalPort: 8081, suggestedPort: 9999, lifetime: 3600 });
    expect(udp).toMatchObject({ result: 0, protocol: 17, externalPort: 9999 });
    expect(await lab.internet.udp({ host: WAN_GATEWAY, port: 9999, payload: "over udp" })).toMatchObject({
      by: "c0",
      payload: "over udp",
    });
    expect(await lab.internet.refusedTcp({ host: WAN_GATEWAY, port: 9999 })).not.toBeNull();
    expect(await lab.internet.refusedUdp({ host: WAN_GATEWAY, port: 8081 })).not.toBeNull();
  });

  scenario("[P1] [P8] asks twice, by PCP and by NAT-PMP: one mapping with two claims", {}, async (lab) => {
    const client = lab.client();
    const request = { protocol: "tcp" as const, internalPort: 8080, suggestedPort: 8080, lifetime: 3600 };
    const nonce = "0102030405060708090a0b0c";
    const first = await lab.map(client, { ...request, nonce });
    const second = await lab.natPmpMap(client, { ...request, suggestedPort: 9090 });
    expect([first?.externalPort, second?.externalPort]).toEqual([8080, 8080]);
    const [port, ...more] = await lab.gateway.ports();
    expect(more).toEqual([]);
    expect(port?.claims.map(({ source }) => source).sort()).toEqual(["natpmp", "pcp"]);

    await lab.natPmpMap(client, { ...request, lifetime: 0, suggestedPort: 0 });
    expect((await lab.gateway.ports()).map(({ claims }) => claims.map(({ source }) => source))).toEqual([["pcp"]]);
    expect(await lab.map(client, { ...request, nonce, lifetime: 0 })).toMatchObject({ result: 0, lifetime: 0 });
    expect(await lab.gateway.ports()).toEqual([]);
  });

  scenario("[P1] [P12] [F4] ends its mapping: new connections are refused, established ones go on", {}, async (lab) => {
    const client = lab.client();
    await client.listen({ tcp: [8080], udp: [8080] });
    const nonce = "a1".repeat(12);
    await lab.map(client, { protocol: "tcp", internalPort: 8080, suggestedPort: 8080, lifetime: 3600, nonce });
    await lab.internet.openStream("old", { host: WAN_GATEWAY, port: 8080 });
    await lab.map(client, { protocol: "tcp", internalPort: 8080, lifetime: 0, nonce });
    expect(await lab.internet.refusedTcp({ host: WAN_GATEWAY, port: 8080 })).not.toBeNull();
    expect(await lab.internet.say("old", "still here")).toMatchObject({ by: "c0", payload: "still here" });
  });

  scenario(
    "[P12] [F4] lets its lease end: new connections are refused, established ones go on, also across a restart",
    { config: { portControl: { lifetime: { pcpMin: 2 } } } },
    async (lab) => {
      const client = lab.client();
      await client.listen({ tcp: [8080, 8082] });
      const asked = { protocol: "tcp" as const, internalPort: 8080, suggestedPort: 8080 };
      const reply = await lab.map(client, { ...asked, lifetime: 3 });
      const grantedAt = performance.now();
      expect(reply).toMatchObject({ result: 0, lifetime: 3 });
      await lab.internet.openStream("old", { host: WAN_GATEWAY, port: 8080 });
      await gone(lab);
      expect((performance.now() - grantedAt) / 1000).toBeGreaterThan(2.9);
      expect((performance.now() - grantedAt) / 1000).toBeLessThan(4.5);
      // It is gone from the state first, and from the kernel milliseconds later.
      await eventually(async () =>
        expect(await lab.internet.refusedTcp({ host: WAN_GATEWAY, port: 8080 })).not.toBeNull(),
      );
      expect(await lab.internet.say("old", "still here")).toMatchObject({ payload: "still here" });

      const again = await lab.map(client, { ...asked, internalPort: 8082, suggestedPort: 8082, lifetime: 4 });
      const promised = performance.now() + (again?.lifetime ?? 0) * 1000;
      await lab.gateway.stop();
      await lab.gateway.start();
      if (performance.now() < promised) expect(await lab.gateway.ports()).toHaveLength(1);
      await gone(lab);
      expect(performance.now()).toBeGreaterThan(promised - 100);
    },
  );

  scenario("[P2] [P8] is answered ANNOUNCE and address requests in exactly the RFCs' bytes", {}, async (lab) => {
    const client = lab.client();
    const announce = await client.pcp({ server: lab.server, bytes: encodeAnnounce(client.address) });
    // With HAProxy there the capability marker follows (option 225).
    expect(announce?.hex).toMatch(/^0280000000000000[0-9a-f]{8}000000000000000000000000e100000453393b01$/);
    const address = await client.pcp({ server: lab.server, bytes: NATPMP_ADDRESS_REQUEST });
    expect(address?.hex).toMatch(/^00800000[0-9a-f]{8}0b162101$/);
  });

  scenario("[P1] [P11] maps only to itself, never a protected port or another's", { clients: 2 }, async (lab) => {
    const [client, other] = [lab.client(0), lab.client(1)];
    const liar = await client.pcp({
      server: lab.server,
      bytes: (await import("./programs/pcp-wire.mjs")).encodeMap({
        client: other.address,
        protocol: "tcp",
        internalPort: 8080,
        lifetime: 3600,
      }),
    });
    expect(liar?.result).toBe(12); // ADDRESS_MISMATCH, RFC 6887 §7.4
    const first = await lab.map(client, { protocol: "tcp", internalPort: 80, suggestedPort: 8080, lifetime: 3600 });
    const second = await lab.map(other, { protocol: "tcp", internalPort: 80, suggestedPort: 8080, lifetime: 3600 });
    expect(first).toMatchObject({ result: 0, externalPort: 8080 });
    expect(second?.result).toBe(0);
    expect(second?.externalPort).not.toBe(8080);
    const preferFailure = "02000000"; // RFC 6887 §13.2
    const options = { protocol: "tcp" as const, internalPort: 81, suggestedPort: 8080, lifetime: 3600 };
    expect(await lab.map(other, { ...options, options: preferFailure })).toMatchObject({ result: 11 });
    const ssh = await lab.map(client, { protocol: "tcp", internalPort: 22, suggestedPort: 22, lifetime: 3600 });
    expect(ssh?.externalPort).not.toBe(22);
    const requests = await lab.gateway.json<{ decision: string; message: string }[]>("request", "list");
    expect(requests.filter(({ decision }) => decision === "refused").length).toBeGreaterThanOrEqual(2);
  });
});

async function gone(lab: Lab): Promise<void> {
  await eventually(async () => expect(await lab.gateway.ports()).toEqual([]), 8000);
}
