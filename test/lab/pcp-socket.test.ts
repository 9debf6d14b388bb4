import { closeSync, openSync } from "node:fs";
import koffi from "koffi";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type BoundSocket, openBoundSocket } from "../../src/adapters/pcp-server/bound-socket.ts";
import type { SocketPlace } from "../../src/lib/device-socket.ts";
import { createPcpServer, type PcpServer } from "../../src/adapters/pcp-server/server.ts";
import type { ControllerPort } from "../../src/controller/port.ts";
import type { Clock } from "../../src/lib/clock.ts";
import { RequestLog } from "../../src/lib/request-log.ts";
import { clientAddresses } from "../../src/reducers/select/client-address.ts";
import { initialState } from "../../src/reducers/state.ts";
import { PEER_REQUEST } from "../unit/protocols/pcp/vectors.ts";
import { Agent } from "./agent.mjs";
import { batch, createTopology, findProgram, type Host, missingForLab, type Topology } from "./topology.mjs";

const CLONE_NEWNET = 0x40000000;
const setns = koffi.load("libc.so.6").func("int setns(int fd, int type)");

/** A socket belongs to the namespace its thread is in when it is made; what follows may happen anywhere. */
function openIn(namespace: string, place: SocketPlace): Promise<BoundSocket> {
  const home = openSync("/proc/thread-self/ns/net", "r");
  const there = openSync(`/run/netns/${namespace}`, "r");
  try {
    if (setns(there, CLONE_NEWNET) !== 0) throw new Error(`cannot enter ${namespace}: errno ${koffi.errno()}`);
    const opening = openBoundSocket(place);
    return opening;
  } finally {
    if (setns(home, CLONE_NEWNET) !== 0) process.abort();
    closeSync(home);
    closeSync(there);
  }
}

const clock: Clock = {
  now: () => Math.floor(performance.timeOrigin + performance.now()),
  setAlarm: (at, callback) => {
    const timer = setTimeout(callback, Math.max(0, at - clock.now()));
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Grants what is asked, as asked. */
function generousController(): ControllerPort {
  const state = initialState();
  state.settings = { ...state.settings, wan: { interfaces: ["wan0"], externalAddress: "auto" } };
  state.epochs = { lan0: { startedAt: clock.now() - 100_000, reason: "first served" } };
  state.run.startedAt = clock.now();
  const unused = (): never => {
    throw new Error("not for servers");
  };
  return {
    state,
    mode: "running",
    deadlines: { deadlineOf: () => null, recordDeadline: () => null, due: () => [], moved: () => [] },
    submit: unused,
    preview: unused,
    subscribe: () => ({ close: () => undefined }),
    settled: () => Promise.resolve(),
    submitSettled: (command) => {
      if (command.type !== "map") return Promise.resolve({ ok: true, seq: 1, changed: true, answer: { kind: "done" } });
      const { suggestedPort: externalPort, lifetime } = command;
      const answer = { kind: "mapped", mappingId: "m000000000001", claimKey: "natpmp" } as const;
      const given = { ...answer, externalAddress: "11.22.33.1", externalPort, lifetime };
      return Promise.resolve({ ok: true, seq: 1, changed: true, answer: given });
    },
  };
}

const LISTEN_FOR_ANNOUNCEMENT = `
import socket, struct
IP_RECVTTL = 12
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("224.0.0.1", 5350))
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("224.0.0.1") + socket.inet_aton("0.0.0.0"))
s.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
s.settimeout(10)
print("listening", flush=True)
data, ancillary, _, source = s.recvmsg(2000, 64)
print(data.hex()[:8] + data.hex()[16:], source[0], source[1], struct.unpack("i", ancillary[0][2])[0], flush=True)
`;

/** Forty-five requests, below the limit for a source, from each of twelve addresses that nobody will answer ARP for. */
const ASK_FROM_NOWHERE = `
import socket
for host in range(100, 112):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("192.168.77.%d" % host, 0))
    for _ in range(45):
        s.sendto(bytes([0, 0]), ("192.168.77.1", 5351))
`;

async function macOf(host: Host): Promise<string> {
  const [link] = JSON.parse(await host.exec("ip", "-json", "link", "show", "eth0"));
  return link.address;
}

const missing = missingForLab() ?? (findProgram("natpmpc") === null ? 'the program "natpmpc" is not installed' : null);

describe("PCP server on real sockets", () => {
  let topology: Topology;
  let client: Host;
  let server: PcpServer;
  const agents: Agent[] = [];
  const agentOn = (host: Host): Agent => {
    const agent = new Agent(host);
    agents.push(agent);
    return agent;
  };
  const requestLog = new RequestLog();
  const lan0 = { interface: "lan0", address: "192.168.77.1", ifindex: 2, subnet: "192.168.77.1/24" };
  const addressRequest = Uint8Array.of(0, 0);

  beforeEach(async (context) => {
    if (missing !== null) context.skip(missing);
    topology = await createTopology();
    client = topology.clients[0] as Host;
    server = createPcpServer({
      controller: generousController(),
      clock,
      requestLog,
      log: { info: () => undefined, warn: () => undefined },
      clients: { ...clientAddresses, ofWan: () => "11.22.33.1", ofClient: () => "11.22.33.1" },
      sniAvailable: () => false,
      ipv4Of: async () => null,
      openSocket: (place) => openIn(topology.gateway.namespace, place),
    });
  });

  afterEach(async () => {
    if (missing !== null) return;
    await server.close();
    for (const agent of agents.splice(0)) agent.close();
    await topology.close();
  });

  it("maps and deletes for natpmpc, unmodified", async () => {
    expect(await server.serve([lan0])).toEqual([]);
    const mapped = await client.exec("natpmpc", "-g", lan0.address, "-a", "20000", "9000", "udp", "3600");
    expect(mapped).toContain("Public IP address : 11.22.33.1");
    expect(mapped).toContain("Mapped public port 20000 protocol UDP to local port 9000 liftime 3600");
    const deleted = await client.exec("natpmpc", "-g", lan0.address, "-a", "20000", "9000", "udp", "0");
    expect(deleted).toContain("Mapped public port 0 protocol UDP to local port 9000 liftime 0");
    expect(requestLog.list().map(({ request }) => request)).toContain("map udp 9000 → 20000 for 3600 s");
  });

  it("PCP-S-01 PCP-S-10 NPMP-S-01 answers the LAN at its address and hears nothing from the WAN side", async () => {
    await server.serve([lan0]);
    const ask = { server: lan0.address, bytes: addressRequest, timeoutMs: 700 };
    const [device, stranger] = [agentOn(client), agentOn(topology.internet)];
    expect((await device.pcp(ask))?.hex).toMatch(/^008000000000006[4-9a-f]0b162101$/);
    // He routes the LAN address to us, and Linux would take it on any interface.
    expect(await stranger.pcp(ask)).toBeNull();
    expect(await stranger.pcp({ ...ask, server: "11.22.33.1" })).toBeNull();
    expect((await device.pcp(ask))?.hex).toMatch(/0b162101$/);
  });

  it("[P3] PCP-S-61 PEER is no opcode that is served here", async () => {
    await server.serve([lan0]);
    const reply = await agentOn(client).pcp({ server: lan0.address, bytes: PEER_REQUEST, timeoutMs: 2000 });
    // R and opcode 2; result 4, UNSUPP_OPCODE; everything after the header as it was sent (RFC 6887 §8.2).
    expect(reply?.hex).toMatch(/^02820004/);
    expect(reply?.hex.slice(48)).toBe(Buffer.from(PEER_REQUEST.subarray(24)).toString("hex"));
  });

  it("PCP-S-01 hears nothing from another interface even if the address matches", async () => {
    const heard: string[] = [];
    const socket = await openIn(topology.gateway.namespace, { ...lan0, port: 5351 });
    socket.onDatagram((_, source) => heard.push(source.address));
    const ask = { server: lan0.address, bytes: addressRequest, timeoutMs: 300 };
    await agentOn(topology.internet).pcp(ask);
    await agentOn(client).pcp(ask);
    expect(new Set(heard)).toEqual(new Set([client.address]));
    await socket.close();
  });

  it("says who may hold the port when it is taken, and serves once it is free", async () => {
    const other = await openIn(topology.gateway.namespace, { ...lan0, port: 5351 });
    const [fault] = await server.serve([lan0]);
    expect(fault?.error.message).toContain("in use by another port-control server such as miniupnpd");
    await other.close();
    expect(await server.serve([lan0])).toEqual([]);
  });

  it("names what is missing: the address, the interface", async () => {
    const places = [
      { ...lan0, address: "192.168.99.1" },
      { ...lan0, interface: "lan9" },
    ];
    const faults = await server.serve(places);
    expect(faults.map(({ error }) => error.message.split(": ")[1])).toEqual([
      "the machine does not have this address now",
      "there is no such interface now",
    ]);
  });

  it("serves an interface again that was deleted and made anew", async () => {
    await server.serve([lan0]);
    await topology.gateway.exec("ip", "link", "delete", "lan0");
    await topology.gateway.exec(
      "ip",
      "link",
      "add",
      "lan0",
      "type",
      "veth",
      "peer",
      "gw",
      "netns",
      topology.lanSwitch.namespace,
    );
    await topology.gateway.exec("ip", "address", "add", "192.168.77.1/24", "dev", "lan0");
    await topology.gateway.exec("ip", "link", "set", "lan0", "up");
    await topology.lanSwitch.exec("ip", "link", "set", "gw", "master", "br0", "up");
    expect(await server.serve([{ ...lan0, ifindex: 99 }])).toEqual([]);
    expect(await agentOn(client).pcp({ server: lan0.address, bytes: addressRequest, timeoutMs: 5000 })).not.toBeNull();
  });

  it("answers a device while replies to addresses that nobody has wait for ARP", async () => {
    await server.serve([lan0]);
    const device = agentOn(client);
    const ask = { server: lan0.address, bytes: addressRequest, timeoutMs: 1000 };
    expect(await device.pcp(ask)).not.toBeNull();
    const [link] = JSON.parse(await topology.gateway.exec("ip", "-json", "link", "show", "lan0"));
    // Silent about the addresses it sends from, and known only by those frames.
    await client.exec("sysctl", "-qw", "net.ipv4.conf.eth0.arp_ignore=8");
    await batch(client.namespace, [
      `neighbour replace ${lan0.address} lladdr ${link.address} nud permanent dev eth0`,
      ...Array.from({ length: 12 }, (_, index) => `address add 192.168.77.${100 + index}/32 dev eth0`),
    ]);
    await topology.gateway.exec(
      "ip",
      "neighbour",
      "replace",
      client.address,
      "lladdr",
      await macOf(client),
      "dev",
      "lan0",
    );
    await client.exec("python3", "-c", ASK_FROM_NOWHERE);
    expect(await device.pcp(ask)).not.toBeNull();
  });

  it("NPMP-S-15 announces the address on the link only: from the served address and port, TTL 1", async () => {
    const listener = client.spawn(["python3", "-c", LISTEN_FOR_ANNOUNCEMENT], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    listener.stdout?.on("data", (chunk) => (output += String(chunk)));
    const printed = (text: string): Promise<void> =>
      new Promise((resolve, reject) => {
        // The collector above was added first: what arrives is in the output by then, and once.
        listener.stdout?.on("data", () => output.includes(text) && resolve());
        listener.on("exit", () => reject(new Error(`the listener ended: ${output}`)));
        if (output.includes(text)) resolve();
      });
    await printed("listening");
    await server.serve([lan0]);
    await printed("0b162101 192.168.77.1 5351 1\n");
    expect(output).toContain("008000000b162101 192.168.77.1 5351 1");
  });
});
