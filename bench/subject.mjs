// What is measured: a gateway with 256 LAN clients, run by Portreeve or by its peer.
import { Gateway } from "../test/lab/gateway.mjs";
import { startMapLoad } from "../test/lab/map-load.mjs";
import { addressAfter, createTopology } from "../test/lab/topology.mjs";
import { startMiniupnpd } from "./miniupnpd.mjs";

export const CLIENTS = 256;
const LAN = "192.168.80.1/20";
export const FIRST_EXTERNAL = 5400;
export const FIRST_INTERNAL = 4000;
/** RFC 6887 §8.1.1: what a client waits before it asks again. */
const RESEND_MS = 3000;

/**
 * Ours can be given more configuration, and a data directory that `prepare` fills; the peer speaks PCP and NAT-PMP, or
 * UPnP, which ours does anyway.
 * @typedef {{ config?: Readonly<Record<string, unknown>>; prepare?: (dataDir: string) => Promise<void>; upnp?: boolean }} Ours
 */

/**
 * @param {"portreeve" | "miniupnpd"} kind
 * @param {Ours} [ours]
 */
export async function startSubject(kind, ours = {}) {
  const first = addressAfter("192.168.80.1", 1);
  const addresses = Array.from({ length: CLIENTS }, (_, index) => addressAfter(first, index));
  const topology = await createTopology({ lan: LAN, clientAddresses: addresses.slice(1).map((each) => `${each}/20`) });
  const client = topology.clients[0];
  if (client === undefined) throw new Error("the topology has no client");
  let mappedBefore = 0;
  try {
    const server = await startServer(kind, topology, ours);
    return {
      topology,
      client,
      addresses,
      server,
      /**
       * New mappings, 16 in flight, numbered on from those made before.
       * @param {number} count
       * @param {{ protocol?: "tcp" | "udp"; renewals?: number; inFlight?: number; release?: boolean }} [options]
       */
      async map(count, { protocol = "tcp", renewals, inFlight = 16, release = false } = {}) {
        const result = await startMapLoad(client, {
          server: topology.lanGateway,
          addresses,
          protocol,
          firstInternalPort: FIRST_INTERNAL,
          firstSuggestedPort: FIRST_EXTERNAL,
          skip: protocol === "tcp" ? mappedBefore : 0,
          count,
          inFlight,
          lifetime: 7200,
          resendMs: RESEND_MS,
          release,
          ...(renewals === undefined ? {} : { renewals }),
        }).done;
        if (protocol === "tcp") mappedBefore += count;
        if (Object.keys(result.refusals).length > 0) {
          throw new Error(`${kind} refused: ${JSON.stringify(result.refusals)}`);
        }
        return result;
      },
      async close() {
        await server.close();
        await topology.close();
      },
    };
  } catch (error) {
    await topology.close();
    throw error;
  }
}

/** @typedef {Awaited<ReturnType<typeof startSubject>>} Subject */

/**
 * @param {"portreeve" | "miniupnpd"} kind
 * @param {import("../test/lab/topology.mjs").Topology} topology
 * @param {Ours} ours
 */
async function startServer(kind, topology, { config = {}, prepare = async () => {}, upnp = false }) {
  if (kind === "miniupnpd") {
    const peer = await startMiniupnpd(topology, "192.168.80.0/20", { upnp });
    return { pid: peer.pid, gateway: null, close: async () => peer.close() };
  }
  // Its clients, all at one station, ask more often than any should: what is measured is not the limit.
  const portControl = { perDevice: { requestsPerSecond: 5000 } };
  const lan = [{ interface: "lan0" }];
  const gateway = new Gateway(topology.gateway, { lan, portControl, log: { level: "warn" }, ...config });
  try {
    await prepare(gateway.dataDir);
    await gateway.start();
  } catch (error) {
    await gateway.close();
    throw error;
  }
  return {
    get pid() {
      return gateway.pid;
    },
    gateway,
    close: () => gateway.close(),
  };
}
