import { createInterface } from "node:readline";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { ForwardRow, GuardRow } from "../../src/reducers/select/rows.ts";
import { Agent } from "./agent.mjs";
import { eventually } from "./lab.ts";
import { create, mappingRows, NftablesDriver, remove, update } from "./nftables-driver.ts";
import {
  batch,
  createTopology,
  type Host,
  LAN1_GATEWAY,
  LAN_GATEWAY,
  missingForLab,
  type Topology,
  WAN_GATEWAY,
  WAN_STRANGER,
} from "./topology.mjs";

const INSTANCE = "0011223344556677";
const [LANS, WANS] = [["lan0", "lan1"], ["wan0"]];
const SKELETON: ForwardRow = { kind: "skeleton", instanceId: INSTANCE, wans: WANS, lans: LANS, tunnel: "lan1" };
const GUARD: GuardRow = { kind: "guard", instanceId: INSTANCE, wans: WANS, lans: LANS, requestsPerSecond: 50 };
const ANCHOR: GuardRow = { kind: "anchor", instanceId: INSTANCE };
const TICKER = new URL("programs/nftables-ticker.py", import.meta.url).pathname;

const missing = missingForLab();

describe.skipIf(missing !== null)("packets through the nftables targets", () => {
  let topology: Topology;
  let gateway: Host;
  let driver: NftablesDriver;
  let stranger: Agent;
  let client: Agent;
  let neighbour: Agent;
  let otherLan: Agent;
  let onGateway: Agent;
  let present: ForwardRow[] = [];

  beforeAll(async () => {
    topology = await createTopology({ clients: 2, lan1: true });
    gateway = topology.gateway;
    await gateway.exec("sysctl", "-qw", "net.ipv4.ip_forward=1");
    driver = new NftablesDriver(gateway, INSTANCE);
    await driver.apply("guard", [create(ANCHOR), create(GUARD)]);
    await driver.apply("forwards", [create(SKELETON)]);
    stranger = new Agent(topology.internet);
    client = new Agent(topology.clients[0] as Host);
    neighbour = new Agent(topology.clients[1] as Host);
    otherLan = new Agent(topology.lan1Client as Host);
    onGateway = new Agent(gateway);
    const ports = { tcp: [8080, 8081], udp: [8080, 8081, 9005] };
    await Promise.all([client.listen(ports), neighbour.listen(ports), stranger.listen({ tcp: [700], udp: [700] })]);
  });
  afterAll(async () => {
    for (const agent of [stranger, client, neighbour, otherLan, onGateway]) agent?.close();
    await driver?.close();
    await topology?.close();
  });
  afterEach(async () => {
    await driver.apply("forwards", present.map(remove));
    present = [];
    await gateway.exec("conntrack", "-F").catch(() => undefined);
  });

  const map = async (...rows: readonly ForwardRow[]): Promise<void> => {
    const outcomes = await driver.apply("forwards", rows.map(create));
    expect(outcomes.filter(({ ok }) => !ok)).toEqual([]);
    present.push(...rows);
  };
  const mapping = (protocol: "tcp" | "udp", port: number, to: Agent, toPort: number): ForwardRow[] =>
    mappingRows(protocol, port, to.address, toPort) as ForwardRow[];
  const unmap = async (rows: readonly ForwardRow[]): Promise<void> => {
    await driver.apply("forwards", rows.map(remove));
    present = present.filter((row) => !rows.includes(row));
  };
  const sever = async (rows: readonly ForwardRow[], severed: ForwardRow): Promise<void> => {
    await driver.apply("forwards", [...rows.map(remove), create(severed)]);
    present = [...present.filter((row) => !rows.includes(row)), severed];
  };
  const wan = (port: number): { host: string; port: number } => ({ host: WAN_GATEWAY, port });

  it("lets a stranger reach a mapped port, by its protocol and no other", async () => {
    await map(...mapping("tcp", 80, client, 8080), ...mapping("udp", 81, client, 8081));
    expect(await stranger.tcp(wan(80))).toMatchObject({ by: "c0", sawAddress: WAN_STRANGER });
    expect(await stranger.udp(wan(81))).toMatchObject({ by: "c0", sawAddress: WAN_STRANGER });
    expect(await stranger.refusedUdp(wan(80))).not.toBeNull();
    expect(await stranger.refusedTcp(wan(81))).not.toBeNull();
    expect(await stranger.refusedTcp({ host: client.address, port: 8080 })).not.toBeNull();
  });

  it("forwards each port of a range to the same port inside, and none beside it", async () => {
    await map({
      kind: "range",
      address: WAN_GATEWAY,
      protocol: "udp",
      firstPort: 9000,
      lastPort: 9010,
      toAddress: client.address,
    });
    expect(await stranger.udp(wan(9005))).toMatchObject({ by: "c0" });
    expect(await stranger.refusedUdp(wan(8081))).not.toBeNull();
  });

  it("brings the same LAN, another LAN and the gateway itself to a mapped port by the external address", async () => {
    await map(...mapping("tcp", 80, client, 8080), ...mapping("udp", 81, client, 8081));
    // Within one segment the answer must come back the way the question went.
    expect(await neighbour.tcp(wan(80))).toMatchObject({ by: "c0", sawAddress: LAN_GATEWAY });
    expect(await neighbour.udp(wan(81))).toMatchObject({ by: "c0", sawAddress: LAN_GATEWAY });
    expect(await client.tcp(wan(80))).toMatchObject({ by: "c0", sawAddress: LAN_GATEWAY });
    expect(await otherLan.tcp(wan(80))).toMatchObject({ by: "c0", sawAddress: otherLan.address });
    expect(await otherLan.udp(wan(81))).toMatchObject({ by: "c0", sawAddress: otherLan.address });
    expect(await onGateway.tcp(wan(80))).toMatchObject({ by: "c0" });
    expect(await onGateway.udp(wan(81))).toMatchObject({ by: "c0" });
  });

  it("sends what leaves a mapped internal port from its external port", async () => {
    await map(...mapping("udp", 5555, client, 7070));
    const out = { host: WAN_STRANGER, port: 700 };
    expect(await client.udp({ ...out, fromPort: 7070 })).toMatchObject({ sawAddress: WAN_GATEWAY, sawPort: 5555 });
    expect(await client.udp({ ...out, fromPort: 7071 })).toMatchObject({ sawAddress: WAN_GATEWAY, sawPort: 7071 });
  });

  it("[F8] lets only the networks of a forward in, ends the flows of others, and leaves other ports alone", async () => {
    const rows = [...mapping("tcp", 80, client, 8080), ...mapping("udp", 81, client, 8081)];
    await map(...rows);
    await stranger.openStream("other", wan(80));
    const restricted = (protocol: "tcp" | "udp", port: number, from: string): ForwardRow[] => [
      { kind: "restricted", address: WAN_GATEWAY, protocol, firstPort: port, lastPort: port },
      { kind: "allowed", address: WAN_GATEWAY, protocol, firstPort: port, lastPort: port, from },
    ];
    await map(...restricted("tcp", 80, "198.51.100.0/24"), ...restricted("udp", 81, "11.22.33.0/25"));
    expect(await stranger.refusedTcp(wan(80))).not.toBeNull();
    expect(await stranger.udp(wan(81))).toMatchObject({ by: "c0", sawAddress: WAN_STRANGER });
    await expect(stranger.say("other", "still here?", 700)).rejects.toThrow();
    const observed = Object.values(await driver.observe("forwards"));
    for (const row of restricted("udp", 81, "11.22.33.0/25")) expect(observed).toContainEqual(row);
  });

  it("[P4] lets a network in by one source port, beside others that may come from any, and everyone by a length of 0", async () => {
    await map(...mapping("udp", 81, client, 8081), ...mapping("tcp", 80, client, 8080));
    const from = { address: WAN_GATEWAY, firstPort: 81, lastPort: 81, protocol: "udp" } as const;
    const udp: ForwardRow[] = [
      { kind: "restricted", ...from },
      { kind: "allowed", ...from, from: "198.51.100.0/24" },
      { kind: "allowedPort", ...from, from: "11.22.33.0/24", fromPort: 5060 },
    ];
    const tcp = { ...from, protocol: "tcp", firstPort: 80, lastPort: 80 } as const;
    const anyHost = { kind: "allowedPort", ...tcp, from: "0.0.0.0/0", fromPort: 6000 } as const;
    await map(...udp, { kind: "restricted", ...tcp }, anyHost);
    expect(await stranger.udp({ ...wan(81), fromPort: 5060 })).toMatchObject({ by: "c0", sawPort: 5060 });
    expect(await stranger.refusedUdp(wan(81))).not.toBeNull();
    expect(await stranger.tcp({ ...wan(80), fromPort: 6000 })).toMatchObject({ by: "c0", sawPort: 6000 });
    expect(await stranger.refusedTcp(wan(80))).not.toBeNull();
    const observed = Object.values(await driver.observe("forwards"));
    for (const row of [...udp, anyHost]) expect(observed).toContainEqual(row);
  });

  it("[F8] brings visitors to a host from the gateway's address, and to others from their own", async () => {
    await map(...mapping("tcp", 80, client, 8080), ...mapping("tcp", 81, client, 8081), {
      kind: "visited",
      address: client.address,
      protocol: "tcp",
      port: 8080,
    });
    expect(await stranger.tcp(wan(80))).toMatchObject({ by: "c0", sawAddress: LAN_GATEWAY });
    expect(await stranger.tcp(wan(81))).toMatchObject({ by: "c0", sawAddress: WAN_STRANGER });
    // Who comes by the host's own address is no visitor.
    expect(await otherLan.tcp({ host: client.address, port: 8080 })).toMatchObject({ sawAddress: otherLan.address });
  });

  it("[W6] sends all of a device with a WAN of its own from that one's address, and no port of ours either", async () => {
    const [own, out] = ["11.22.33.9", { host: WAN_STRANGER, port: 700 }];
    await batch(gateway.namespace, [`address add ${own}/24 dev wan0`]);
    await map(...mapping("udp", 5555, neighbour, 5555), {
      kind: "egress",
      address: client.address,
      toAddress: own,
    });
    expect(await client.udp({ ...out, fromPort: 7071 })).toMatchObject({ sawAddress: own, sawPort: 7071 });
    expect(await client.tcp(out)).toMatchObject({ sawAddress: own });
    const shadowing = await client.udp({ ...out, fromPort: 5555 });
    expect(shadowing.sawAddress).toBe(own);
    expect(shadowing.sawPort).toBeGreaterThanOrEqual(61000);
    expect(await neighbour.tcp(out)).toMatchObject({ sawAddress: WAN_GATEWAY });
    await batch(gateway.namespace, [`address del ${own}/24 dev wan0`]);
  });

  it("[W6] clamps the segments of TCP through the tunnel to what fits it, in both directions", async () => {
    const mtu = 1300;
    const probe = `table inet probe { chain c { type filter hook input priority 0; tcp flags & syn == syn tcp option maxseg size > ${mtu - 40} counter\n}\n}`;
    const tooLarge = async (host: Host): Promise<string | undefined> => {
      const listing = await host.exec("nft", "list", "table", "inet", "probe");
      return /counter packets (\d+)/.exec(listing)?.[1];
    };
    const ends = [topology.internet, topology.lan1Client as Host];
    for (const host of ends) await host.exec("nft", probe);
    await batch(gateway.namespace, [`link set lan1 mtu ${mtu}`]);
    expect(await otherLan.tcp({ host: WAN_STRANGER, port: 700 })).toMatchObject({ sawAddress: WAN_GATEWAY });
    expect(await Promise.all(ends.map(tooLarge))).toEqual(["0", "0"]);
    // Through the other segment they are as large as they were.
    await client.tcp({ host: WAN_STRANGER, port: 700 });
    expect(await tooLarge(topology.internet)).toBe("1");
    await batch(gateway.namespace, ["link set lan1 mtu 1500"]);
    for (const host of ends) await host.exec("nft", "delete", "table", "inet", "probe");
  });

  it("gives nobody a source port that is mapped to another or that the gateway listens on", async () => {
    await map(...mapping("udp", 5555, client, 5555), { kind: "ours", protocol: "udp", port: 51820 });
    for (const fromPort of [5555, 51820]) {
      const { sawPort } = await neighbour.udp({ host: WAN_STRANGER, port: 700, fromPort });
      expect(sawPort).toBeGreaterThanOrEqual(61000);
    }
    expect(await client.udp({ host: WAN_STRANGER, port: 700, fromPort: 5555 })).toMatchObject({ sawPort: 5555 });
  });

  it("gives nobody such a port by a provoked collision either", async () => {
    const ours = Array.from({ length: 60_976 - 1024 }, (_, index): ForwardRow => {
      return { kind: "ours", protocol: "udp", port: 1024 + index };
    });
    await map(...ours);
    for (const fromPort of [61_001, 61_002, 61_003, 61_004]) {
      await client.udp({ host: WAN_STRANGER, port: 700, fromPort });
      const collided = await neighbour.udp({ host: WAN_STRANGER, port: 700, fromPort }).catch(() => null);
      if (collided !== null) expect(collided.sawPort).toBeGreaterThanOrEqual(60_976);
    }
  });

  it("lets a UDP peer through that was already sending when the mapping was made, and when it was moved", async () => {
    await stranger.startPeer("early", wan(5000));
    await eventually(async () => expect(await conntrack("dport=5000")).toContain("dport=5000"));
    const answered = (by: string) =>
      eventually(async () => expect((await stranger.peerAnswers("early")).at(-1)).toMatch(new RegExp(`^${by}\\|`)));
    const rows = mapping("udp", 5000, client, 8080);
    await map(...rows);
    await answered("c0");
    const moved = mapping("udp", 5000, neighbour, 8080);
    await driver.apply("forwards", [update(moved[0] as ForwardRow, rows[0] as ForwardRow)]);
    await answered("c1");
    const { answers } = await stranger.stopPeer("early");
    const first = answers.findIndex((answer) => answer.startsWith("c1|"));
    expect(answers[0]).toMatch(/^c0\|/);
    expect(first).toBeGreaterThan(0);
    expect(answers.slice(first).every((answer) => answer.startsWith("c1|"))).toBe(true);
  });

  it("ends only new connections when a mapping goes, and leaves established ones", async () => {
    const rows = mapping("tcp", 80, client, 8080);
    await map(...rows);
    await stranger.openStream("kept", wan(80));
    await unmap(rows);
    expect(await stranger.say("kept", "still here")).toMatchObject({ by: "c0", payload: "still here" });
    expect(await stranger.refusedTcp(wan(80))).not.toBeNull();
    await stranger.closeStream("kept");
  });

  it("ends established flows of a severed port when the stranger speaks", async () => {
    const rows = [...mapping("tcp", 8080, client, 8080), ...mapping("tcp", 80, neighbour, 8080)];
    await map(...rows);
    await stranger.openStream("ended", wan(8080));
    await stranger.openStream("kept", wan(80));
    await sever(rows.slice(0, 3), severed("tcp", 8080));
    await expect(stranger.say("ended", "hello?", 700)).rejects.toThrow();
    expect(await stranger.say("kept", "hello")).toMatchObject({ by: "c1" });
    await stranger.closeStream("kept");
  });

  it("ends established flows of a severed port when the host inside speaks, though it has the same port", async () => {
    const rows = mapping("tcp", 7777, client, 7777);
    await map(...rows);
    const server = (topology.clients[0] as Host).spawn(["/usr/bin/python3", TICKER, "serve", "7777"]);
    await firstLine(server, "ready");
    const listener = topology.internet.spawn(["/usr/bin/python3", TICKER, "listen", WAN_GATEWAY, "7777"]);
    const lines: string[] = [];
    createInterface({ input: listener.stdout as NodeJS.ReadableStream }).on("line", (line) => lines.push(line));
    await eventually(async () => expect(lines.length).toBeGreaterThan(3));
    await sever(rows, severed("tcp", 7777));
    const heard = lines.length;
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(lines.slice(heard).filter((line) => line === "tick").length).toBeLessThanOrEqual(1);
    listener.kill("SIGKILL");
    server.kill("SIGKILL");
  });

  it("reports a severed row once its flows have ended, and lets the port be mapped anew for the same peer", async () => {
    const rows = mapping("udp", 5000, client, 8080);
    await map(...rows);
    await stranger.startPeer("peer", wan(5000));
    await eventually(async () => expect(await conntrack("dport=5000")).toContain(client.address));
    const row = severed("udp", 5000);
    await sever(rows, row);
    expect((await driver.observe("forwards"))[`severed|${WAN_GATEWAY}|udp|5000`]).toEqual(row);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const { answers } = await stranger.stopPeer("peer");
    expect(answers.at(-1)).toMatch(/^c0\|/);

    const [, fromPort] = /:(\d+)\|/.exec(answers.at(-1) as string) as RegExpExecArray;
    expect(await stranger.refusedUdp({ ...wan(5000), fromPort: Number(fromPort) })).not.toBeNull();
    await map(...rows);
    expect(await stranger.udp({ ...wan(5000), fromPort: Number(fromPort) })).toMatchObject({ by: "c0" });
  });

  it("forgets every NATed flow of an address that is lost, and no other", async () => {
    await map(...mapping("tcp", 80, client, 8080));
    await onGateway.listen({ tcp: [2222] });
    await stranger.openStream("local", wan(2222));
    await stranger.openStream("natted", wan(80));
    await client.openStream("out", { host: WAN_STRANGER, port: 700 });
    await map({ kind: "severed", address: WAN_GATEWAY, protocol: "tcp", port: 0, count: 0, decidedAt: 1 });
    const flows = await conntrack("");
    expect(flows).toContain("dport=2222");
    expect(flows).not.toContain("dport=80 ");
    expect(flows).not.toContain("dport=700");
    expect(await stranger.say("local", "hello")).toMatchObject({ by: "gw" });
    for (const name of ["local", "natted"]) await stranger.closeStream(name);
    await client.closeStream("out");
  });

  it("keeps strangers out of served segments, also where another program's table has a DNAT", async () => {
    await gateway.exec(
      "nft",
      "table ip other { chain p { type nat hook prerouting priority -110; tcp dport 99 dnat to 192.168.77.2:8080\n}\n}",
    );
    expect(await stranger.refusedTcp(wan(99))).not.toBeNull();
    expect(await stranger.refusedTcp({ host: client.address, port: 8080 })).not.toBeNull();
    expect(await otherLan.tcp({ host: client.address, port: 8080 })).toMatchObject({ by: "c0" });
    await gateway.exec("nft", "delete", "table", "ip", "other");
  });

  it("leaves the bits of the conntrack mark that are not its own", async () => {
    await gateway.exec(
      "nft",
      "table ip other { chain p { type filter hook prerouting priority -150; ct state new tcp dport 80 ct mark set 0x40\n}\n}",
    );
    await map(...mapping("tcp", 80, client, 8080));
    await stranger.openStream("marked", wan(80));
    expect(await conntrack("dport=80")).toContain(`mark=16777280`);
    await stranger.closeStream("marked");
    await gateway.exec("nft", "delete", "table", "ip", "other");
  });

  it("keeps 20 of 20 streams alive through a flush of the ruleset and the repair", async () => {
    const rows = mapping("tcp", 80, client, 8080);
    await map(...rows);
    const names = Array.from({ length: 20 }, (_, index) => `stream${index}`);
    for (const name of names) await stranger.openStream(name, wan(80));
    await gateway.exec("nft", "flush", "ruleset");
    for (const name of names) expect(await stranger.say(name, "between")).toMatchObject({ by: "c0" });
    await driver.apply("guard", [create(GUARD)]);
    await driver.apply("forwards", [SKELETON, ...rows].map(create));
    for (const name of names) expect(await stranger.say(name, "after")).toMatchObject({ by: "c0" });
    for (const name of names) await stranger.closeStream(name);
    expect(await stranger.tcp(wan(80))).toMatchObject({ by: "c0" });
  });

  it("lets control requests in from served segments alone, and tracks none of them", async () => {
    await onGateway.listen({ udp: [5351, 1900], tcp: [22, 49001] });
    for (const port of [5351, 1900]) expect(await client.udp({ host: LAN_GATEWAY, port })).toMatchObject({ by: "gw" });
    expect(await client.tcp({ host: LAN_GATEWAY, port: 49001 })).toMatchObject({ by: "gw" });
    expect(await otherLan.udp({ host: LAN1_GATEWAY, port: 5351 })).toMatchObject({ by: "gw" });
    for (const port of ["5351", "1900"]) expect(await conntrack(port)).toBe("");
    for (const host of [WAN_GATEWAY, LAN_GATEWAY]) {
      expect(await stranger.refusedUdp({ host, port: 5351 })).not.toBeNull();
      expect(await stranger.refusedUdp({ host, port: 1900 })).not.toBeNull();
      expect(await stranger.refusedTcp({ host, port: 49001 })).not.toBeNull();
    }
    // The admin's own services stay as they are, at the address that is the WAN's.
    expect(await stranger.tcp(wan(22))).toMatchObject({ by: "gw" });
    expect(await stranger.refusedTcp({ host: LAN_GATEWAY, port: 22 })).not.toBeNull();
    expect(await client.tcp({ host: LAN_GATEWAY, port: 22 })).toMatchObject({ by: "gw" });
    expect(await client.tcp({ host: WAN_GATEWAY, port: 22 })).toMatchObject({ by: "gw" });
  });

  it("limits one flooding source and leaves the others their share", async () => {
    const flood = [
      "import socket",
      "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
      `for i in range(20000): s.sendto(b'x', ('${LAN_GATEWAY}', 5351))`,
    ].join("\n");
    await client.host.exec("/usr/bin/python3", "-c", flood);
    const [passed, dropped] = await requestCounters();
    expect(passed).toBeGreaterThan(0);
    expect(passed).toBeLessThan(2000);
    expect(dropped).toBeGreaterThan(15_000);
    expect(await neighbour.udp({ host: LAN_GATEWAY, port: 5351 })).toMatchObject({ by: "gw" });
  });

  it("drops a source that does not belong to the segment it came from", async () => {
    const address = "10.66.66.66";
    await batch(client.host.namespace, [`address add ${address}/32 dev lo`]);
    expect(await client.refusedUdp({ host: LAN_GATEWAY, port: 5351, from: address })).not.toBeNull();
    await batch(client.host.namespace, [`address del ${address}/32 dev lo`]);
  });

  const severed = (protocol: "tcp" | "udp", port: number): ForwardRow => {
    return { kind: "severed", address: WAN_GATEWAY, protocol, port, count: 1, decidedAt: 1 };
  };

  async function conntrack(part: string): Promise<string> {
    const all = await gateway.exec("conntrack", "-L");
    return all
      .split("\n")
      .filter((line) => line.includes(part))
      .join("\n");
  }

  /** Datagrams that reached the socket's queue or were read from it, and those that the guard dropped. */
  async function requestCounters(): Promise<[number, number]> {
    const snmp = (await gateway.exec("cat", "/proc/net/snmp")).split("\n").filter((line) => line.startsWith("Udp:"));
    const [names, values] = snmp.map((line) => line.split(" "));
    const at = (name: string): number => Number(values?.[names?.indexOf(name) ?? -1]);
    const reached = at("InDatagrams") + at("InErrors") + at("NoPorts");
    return [reached, 20_000 - reached];
  }
});

async function firstLine(child: ReturnType<Host["spawn"]>, wanted: string): Promise<void> {
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    if (line === wanted) return;
  }
  throw new Error("the program ended before it was ready");
}
