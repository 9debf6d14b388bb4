import { describe, expect } from "vitest";
import type { Agent } from "./agent.mjs";
import { makeForeignTables } from "./foreign-tables.ts";
import { PROGRAM } from "./gateway.mjs";
import { eventually, type Lab, scenario } from "./lab.ts";
import { batch, type Host, REMOTE, WAN1_GATEWAY, WAN1_STRANGER, WAN_GATEWAY, WAN_STRANGER } from "./topology.mjs";
import { TunnelPeer, tunnelName } from "./tunnel.ts";

/** Bits of the mark that another program keeps of each flow. */
const FOREIGN_MARK = 0x42;

const options = {
  clients: 2,
  peers: 1,
  wan1: true,
  needs: ["wg", "wg-quick", "wireguard-go", "natpmpc"],
  timeoutMs: 120_000,
  config: {
    wan: { interfaces: ["wan0", "wan1"] },
    lan: [{ interface: "lan0" }],
    wireguard: { interface: tunnelName() },
  },
  others: async (gateway: Host): Promise<void> => {
    await makeForeignTables(gateway);
    const base = "type filter hook prerouting priority mangle;";
    await gateway.exec("nft", `table ip marker { chain c { ${base} ct mark set ct mark | ${FOREIGN_MARK}; }; }`);
    await batch(gateway.namespace, [
      "rule add priority 5000 from 203.0.113.7 lookup 77",
      "rule add priority 19100 fwmark 0x42/0xff lookup 78",
      "route add 203.0.113.0/24 dev wan0 table 77",
    ]);
  },
};

interface Status {
  readonly wans: readonly { readonly interface: string; readonly up: boolean; readonly gateway: string | null }[];
}

async function type(lab: Lab, ...args: string[]): Promise<string> {
  const done = await lab.gateway.cli(...args);
  expect(done, done.stderr).toMatchObject({ code: 0 });
  return done.stdout;
}

/** Whose address a host in the internet sees. Each provider drops what bears the address of the other's. */
async function seenFrom(agent: Agent): Promise<string> {
  return (await agent.tcp({ host: REMOTE, port: 9002, timeoutMs: 500 })).sawAddress;
}

function present<T>(value: T | null | undefined): T {
  if (value == null) throw new Error("the lab has no second provider");
  return value;
}

/** Rules and routes of the gateway, ours apart from those of others. */
async function routing(gateway: Host): Promise<{ ours: string[]; others: string[] }> {
  const texts = [
    await gateway.exec("ip", "-4", "rule", "show"),
    await gateway.exec("ip", "-4", "route", "show", "table", "all"),
  ];
  const lines = texts.flatMap((text) => text.split("\n").map((line) => line.trim())).filter((line) => line !== "");
  const isOurs = (line: string): boolean => /proto(?:col)? 191\b/.test(line);
  return { ours: lines.filter(isOurs), others: lines.filter((line) => !isOurs(line)) };
}

const OTHERS = [
  "5000:\tfrom 203.0.113.7 lookup 77",
  "19100:\tfrom all fwmark 0x42/0xff lookup 78",
  "203.0.113.0/24 dev wan0 table 77 scope link",
];

describe("[W5] two uplinks, each with a provider that drops foreign sources", () => {
  scenario(
    "every reply and every flow leaves by its own WAN, whatever happens to us or the other",
    options,
    async (lab) => {
      const peer = await homes(lab);
      try {
        await forwardsAnswerWhereTheyWereAsked(lab);
        await flowsLeaveByTheirWan(lab, peer);
        await gatewaysOwnAnswersToo(lab);
        await restartsBreakNothing(lab);
        await secondGoesDown(lab);
        await firstGoesDown(lab);
      } finally {
        await peer.down();
      }
      await teardownLeavesNothing(lab);
    },
  );
});

/** Who lives on which WAN: `nas` nowhere in particular, `pad` on the second, as all of the WireGuard subnet. */
async function homes(lab: Lab): Promise<TunnelPeer> {
  const [nas, pad] = [lab.client(0), lab.client(1)];
  await type(lab, "device", "add", "pad", "--lan", "lan0", "--ip", pad.address, "--kind", "server", "--wan", "wan1");
  const [subnet] = await lab.gateway.json<{ name: string }[]>("subnet", "list");
  await type(lab, "subnet", "edit", present(subnet).name, "--wan", "wan1");
  await type(lab, "device", "add", "far", "--kind", "server");
  await type(lab, "port", "add", "8001:80/tcp", nas.address);
  await type(lab, "port", "add", "8002:80/tcp", nas.address, "--wan", "wan1");
  await type(lab, "port", "add", "8053:53/udp", nas.address, "--wan", "wan1");
  await type(lab, "port", "add", "8004:81/tcp", pad.address, "--wan", "wan1", "--source", "gateway");
  await nas.listen({ tcp: [80], udp: [53] });
  await pad.listen({ tcp: [80, 81] });
  await present(lab.remote).listen({ tcp: [9002], udp: [9003] });
  await lab.onGateway.listen({ tcp: [7777] });
  const host = present(lab.topology.peers[0]);
  return await TunnelPeer.up(host, lab.gateway, "far", "--profile", "full", "--endpoint", `${WAN_GATEWAY}:51820`);
}

/** One host inside, forwards on both WANs at once. */
async function forwardsAnswerWhereTheyWereAsked(lab: Lab): Promise<void> {
  const remote = present(lab.remote);
  const asked = [
    await remote.openStream("first", { host: WAN_GATEWAY, port: 8001 }),
    await remote.openStream("second", { host: WAN1_GATEWAY, port: 8002 }),
    await remote.udp({ host: WAN1_GATEWAY, port: 8053 }),
  ];
  expect(asked.map(({ by, sawAddress }) => [by, sawAddress])).toEqual(asked.map(() => ["c0", REMOTE]));
  const masked = await remote.tcp({ host: WAN1_GATEWAY, port: 8004 });
  expect(masked).toMatchObject({ by: "c1", sawAddress: lab.server });
}

async function flowsLeaveByTheirWan(lab: Lab, peer: TunnelPeer): Promise<void> {
  const [nas, pad, remote] = [lab.client(0), lab.client(1), present(lab.remote)];
  expect(await seenFrom(nas)).toBe(WAN_GATEWAY);
  expect(await seenFrom(pad)).toBe(WAN1_GATEWAY);
  expect(await seenFrom(peer.agent)).toBe(WAN1_GATEWAY);
  // A mapped port has the WAN that it is mapped on.
  await nas.stopListening({ udp: [53] });
  const mapped = await nas.udp({ host: REMOTE, port: 9003, fromPort: 53 });
  expect(mapped).toMatchObject({ sawAddress: WAN1_GATEWAY, sawPort: 8053 });

  // The same address is told, and the forward is there.
  const told = await lab.map(pad, { protocol: "tcp", internalPort: 80, suggestedPort: 8003, lifetime: 3600 });
  expect(told).toMatchObject({ result: 0, externalAddress: WAN1_GATEWAY, externalPort: 8003 });
  expect(await remote.tcp({ host: WAN1_GATEWAY, port: 8003 })).toMatchObject({ by: "c1", sawAddress: REMOTE });
  await peer.agent.listen({ tcp: [9001] });
  const [subnet] = await lab.gateway.json<{ gateway: string }[]>("subnet", "list");
  const request = ["-g", present(subnet).gateway, "-a", "20001", "9001", "tcp", "3600"];
  expect(await present(lab.topology.peers[0]).exec("natpmpc", ...request)).toContain(
    `Public IP address : ${WAN1_GATEWAY}`,
  );
  expect(await remote.tcp({ host: WAN1_GATEWAY, port: 20001 })).toMatchObject({ by: "p0", sawAddress: REMOTE });

  const flows = await lab.topology.gateway.exec("conntrack", "-L");
  const marks = flows.split("\n").flatMap((line) => (line.includes(`src=${pad.address} dst=${REMOTE}`) ? [line] : []));
  expect(marks.length).toBeGreaterThan(0);
  for (const line of marks) expect(Number(/mark=(\d+)/.exec(line)?.[1]) & FOREIGN_MARK, line).toBe(FOREIGN_MARK);
}

/** And what it sends from an address of its own. */
async function gatewaysOwnAnswersToo(lab: Lab): Promise<void> {
  const { gateway, remote } = lab.topology;
  const answered = await present(lab.remote).tcp({ host: WAN1_GATEWAY, port: 7777 });
  expect(answered).toMatchObject({ by: "gw", sawAddress: REMOTE });
  await lab.onGateway.stopListening({ tcp: [7777] });
  await present(remote).exec("ping", "-c", "1", "-W", "2", WAN1_GATEWAY);
  await gateway.exec("ping", "-c", "1", "-W", "2", "-I", WAN1_GATEWAY, REMOTE);
}

async function restartsBreakNothing(lab: Lab): Promise<void> {
  const [nas, pad, remote] = [lab.client(0), lab.client(1), present(lab.remote)];
  const { gateway } = lab.topology;
  await nas.openStream("out", { host: REMOTE, port: 9002 });
  await pad.openStream("out", { host: REMOTE, port: 9002 });
  const all = async (): Promise<void> => {
    for (const stream of ["first", "second"]) await remote.say(stream, "still there");
    for (const agent of [nas, pad]) await agent.say("out", "still there");
  };
  const before = await routing(gateway);
  expect(before.others).toEqual(expect.arrayContaining(OTHERS));
  await lab.gateway.kill();
  await all();
  await lab.gateway.start();
  await all();
  expect(await seenFrom(pad)).toBe(WAN1_GATEWAY);
  expect(await routing(gateway)).toEqual(before);
}

async function secondGoesDown(lab: Lab): Promise<void> {
  const [pad, remote] = [lab.client(1), present(lab.remote)];
  const { gateway, internet } = lab.topology;
  await batch(gateway.namespace, ["link set wan1 down"]);
  await remote.say("first", "still there");
  await eventually(async () => expect(await seenFrom(pad)).toBe(WAN_GATEWAY), 15_000);
  const down = await lab.gateway.json<Status>("status");
  expect(down.wans.map(({ up, gateway: by }) => [up, by !== null])).toEqual([
    [true, true],
    [false, false],
  ]);
  expect((await lab.gateway.cli("doctor")).stdout).toContain("wan1 leads nowhere");
  // A live flow of that WAN is refused, and does not go out by the other one.
  const dropped = await internet.exec("nft", "list", "chain", "ip", "provider", "in");
  expect(dropped).toContain("counter packets 0 ");

  await batch(gateway.namespace, ["link set wan1 up", `route add default via ${WAN1_STRANGER} dev wan1 metric 200`]);
  await eventually(async () => expect(await seenFrom(pad)).toBe(WAN1_GATEWAY), 15_000);
  await remote.say("second", "still there");
  expect(await remote.tcp({ host: WAN1_GATEWAY, port: 8002 })).toMatchObject({ by: "c0", sawAddress: REMOTE });
}

/** What has no WAN of its own leaves by the next. */
async function firstGoesDown(lab: Lab): Promise<void> {
  const [nas, pad, remote] = [lab.client(0), lab.client(1), present(lab.remote)];
  const { gateway } = lab.topology;
  await batch(gateway.namespace, ["link set wan0 down"]);
  expect(await seenFrom(pad)).toBe(WAN1_GATEWAY);
  await remote.say("second", "still there");
  await eventually(async () => expect(await seenFrom(nas)).toBe(WAN1_GATEWAY), 15_000);
  expect(await remote.tcp({ host: WAN1_GATEWAY, port: 8002 })).toMatchObject({ by: "c0", sawAddress: REMOTE });
}

async function teardownLeavesNothing(lab: Lab): Promise<void> {
  const { gateway } = lab.topology;
  await lab.gateway.stop();
  expect((await routing(gateway)).ours).not.toEqual([]);
  await gateway.exec(process.execPath, PROGRAM, "teardown", "--config", lab.gateway.configFile, "--yes");
  const { ours, others } = await routing(gateway);
  expect(ours).toEqual([]);
  expect(others).toEqual(expect.arrayContaining(OTHERS.slice(0, 2)));
  expect(await gateway.exec("nft", "list", "tables")).not.toContain("portreeve");

  // A start makes all of it anew, as the links are now.
  await batch(gateway.namespace, ["link set wan0 up", `route add default via ${WAN_STRANGER} dev wan0`]);
  await lab.gateway.start();
  expect([await seenFrom(lab.client(0)), await seenFrom(lab.client(1))]).toEqual([WAN_GATEWAY, WAN1_GATEWAY]);
}
