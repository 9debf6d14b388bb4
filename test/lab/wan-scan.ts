import { expect } from "vitest";
import type { Agent } from "./agent.mjs";
import type { Gateway } from "./gateway.mjs";
import { encodeMap, type Reply } from "./programs/pcp-wire.mjs";
import { fileURLToPath } from "node:url";
import type { Host, Topology } from "./topology.mjs";

const PROGRAM = fileURLToPath(new URL("programs/wan-scan.py", import.meta.url));
/** Granted for the scan itself: a scan that does not find this saw nothing. */
const CANARY_PORT = 7007;

interface ScanResult {
  readonly tcp: readonly number[];
  readonly udp: readonly number[];
  readonly udpSent: number;
}

interface Target {
  readonly address: string;
  /** Every port if they are not said. */
  readonly tcp?: readonly number[];
  /** Those whose protocol has no probe of its own. */
  readonly udp: readonly number[];
}

/** What the stranger finds at each address. */
async function scanFromWan({ internet }: Topology, targets: readonly Target[]) {
  const wanted = targets.map(({ address, tcp, udp }) => {
    return `${address}${tcp === undefined ? "" : `/${tcp.join(",")}`}:${udp.join(",")}`;
  });
  const output = await internet.exec("/usr/bin/python3", PROGRAM, internet.address, ...wanted);
  return JSON.parse(output) as ScanResult[];
}

interface ScanSubject {
  readonly topology: Topology;
  readonly gateway: Gateway;
  readonly clients: readonly Agent[];
  readonly wanAddress: string;
}

/**
 * From the WAN exactly the granted ports are open at the WAN address, and nothing at all at the gateway's LAN address
 * or at a LAN host, though the stranger routes those segments to the gateway.
 */
export async function expectOnlyGrantedPortsOpen({
  topology,
  gateway,
  clients,
  wanAddress,
}: ScanSubject): Promise<void> {
  const [canary] = clients;
  if (canary === undefined) throw new Error("the WAN scan needs a client");
  await canary.listen({ tcp: [CANARY_PORT], udp: [CANARY_PORT] });
  const canaryPorts = {
    tcp: await grantCanary(canary, topology.lanGateway, "tcp"),
    udp: await grantCanary(canary, topology.lanGateway, "udp"),
  };

  // The answer does not wait for the guard's row of who holds a port.
  const synced = async () => (await gateway.ports()).filter(({ enabled, sync }) => enabled && sync === "synced");
  const canaries = async () => (await synced()).filter(({ internal }) => internal.port === CANARY_PORT).length;
  await expect.poll(canaries, { timeout: 5000 }).toBe(2);
  const ports = await synced();
  // Of this WAN; behind 1:1 NAT another address is told than the one that is scanned.
  const told = ports.find(({ internal }) => internal.port === CANARY_PORT)?.external.address;
  const granted = ports.filter(({ external }) => external.address === told);
  const open = (protocol: "tcp" | "udp") =>
    new Set(granted.filter((port) => port.protocol === protocol).flatMap(externalPorts));
  const answering = (protocol: "tcp" | "udp") =>
    granted
      .filter(
        (port) => port.protocol === protocol && listens(clients, port.internal.address, protocol, port.internal.port),
      )
      .map((port) => port.external.port)
      .sort((a, b) => a - b);

  const udpAnswering = answering("udp");
  const [onGateway, onCanary] = await Promise.all([listening(topology.gateway), listening(canary.host)]);
  const [wan, ...inside] = await scanFromWan(topology, [
    { address: wanAddress, udp: udpAnswering.slice(0, 200) },
    // Only what listens can answer a SYN, and what is forwarded at another address.
    { address: topology.lanGateway, tcp: [...new Set([...onGateway, ...open("tcp")])], udp: [CANARY_PORT] },
    { address: canary.address, tcp: onCanary, udp: [CANARY_PORT] },
  ]);
  if (wan === undefined) throw new Error("the WAN scan says nothing");
  expect(wan.udpSent, "UDP probes were sent").toBeGreaterThanOrEqual(6);
  expect(wan.tcp, "the scan finds a port known to be open").toContain(canaryPorts.tcp);
  expect(wan.udp, "the scan finds a port known to be open").toContain(canaryPorts.udp);
  expect(
    wan.tcp.filter((port) => !open("tcp").has(port)),
    "TCP ports open on the WAN that nobody was granted",
  ).toEqual([]);
  expect(
    wan.udp.filter((port) => !open("udp").has(port)),
    "UDP ports open on the WAN that nobody was granted",
  ).toEqual([]);
  expect(wan.tcp, "every granted TCP port with a listener").toEqual(expect.arrayContaining(answering("tcp")));

  const closed = inside.map(({ tcp, udp }) => ({ tcp, udp }));
  expect(closed, "the gateway's LAN address and a LAN host, as reached from the WAN").toEqual([
    { tcp: [], udp: [] },
    { tcp: [], udp: [] },
  ]);
}

/** The TCP ports that anything listens on, and all that a system would serve. */
async function listening(host: Host): Promise<number[]> {
  const lines = (await host.exec("ss", "-Hltn")).trim().split("\n");
  const ports = lines.map((line) => Number(/:(\d+)\s/.exec(line)?.[1])).filter((port) => port > 0);
  return [...new Set([...Array.from({ length: 1024 }, (_, index) => index + 1), ...ports])];
}

function externalPorts(port: { external: { port: number }; count: number }): number[] {
  return Array.from({ length: port.count }, (_, index) => port.external.port + index);
}

function listens(clients: readonly Agent[], address: string, protocol: string, port: number): boolean {
  return clients.some((client) => client.address === address && client.listening.has(`${protocol}/${port}`));
}

async function grantCanary(client: Agent, server: string, protocol: "tcp" | "udp"): Promise<number> {
  const bytes = encodeMap({
    client: client.address,
    protocol,
    internalPort: CANARY_PORT,
    suggestedPort: CANARY_PORT,
    lifetime: 3600,
    nonce: "0c".repeat(12),
  });
  const reply: Reply | null = await client.pcp({ server, bytes, timeoutMs: 8000 });
  expect(reply, "the scan's own mapping is granted").toMatchObject({ result: 0 });
  return reply?.externalPort ?? 0;
}
