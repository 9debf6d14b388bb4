// One host floods the gateway; how a good client beside it fares, with ours and with the peer, limits as they come.
import { Gateway } from "../test/lab/gateway.mjs";
import { startFlood } from "../test/lab/flood.mjs";
import { startMapLoad } from "../test/lab/map-load.mjs";
import { addressAfter, createTopology, LAN_GATEWAY } from "../test/lab/topology.mjs";
import { startMiniupnpd } from "./miniupnpd.mjs";
import { memoryOf } from "./process-memory.mjs";
import { median } from "./statistics.mjs";

const FLOOD_SECONDS = 12;
/** No more than four devices may ask, and than the peer answers while there is no flood. */
const GOOD = { count: 250, perSecond: 50, renewals: 5000, inFlight: 4 };
/** V8 has compiled what is hot: a gateway runs for months. */
const WARM_UP = { count: 300, perSecond: 150, release: true, inFlight: 8 };
/** Addresses of the good client; the flooding host's is the one after its first. */
const GOOD_ADDRESSES = [1, 100, 101, 102].map((offset) => addressAfter(LAN_GATEWAY, offset));
const EVERYONE = Array.from({ length: 252 }, (_, index) => addressAfter(LAN_GATEWAY, index + 1));

/**
 * @typedef {object} Kind
 * @property {string} name
 * @property {"map" | "malformed"} payload
 * @property {number} perSecond 0: no flood
 * @property {boolean} [everyone] from all addresses of the segment
 * @property {boolean} [inventStations]
 */

/** @type {readonly Kind[]} */
const KINDS = [
  { name: "no flood", payload: "map", perSecond: 0 },
  { name: "malformed", payload: "malformed", perSecond: 100_000 },
  { name: "valid, one device", payload: "map", perSecond: 10_000 },
  { name: "valid, all of the /24", payload: "map", perSecond: 20_000, everyone: true },
  {
    name: "valid, all of the /24, invented stations",
    payload: "map",
    perSecond: 20_000,
    everyone: true,
    inventStations: true,
  },
];

/**
 * `answered` and `late` (more than a second) count new mappings and renewals.
 * @typedef {{ newP50: number; newP99: number; renewP50: number; renewP99: number; answered: number; late: number; resent: number; floodPerSecond: number; pssBefore: number; pssAfter: number }} Figures
 * @typedef {{ kind: Kind; portreeve: Figures; miniupnpd: Figures }} FloodResult
 */

/**
 * @param {number} rounds
 * @param {(text: string) => void} progress
 * @returns {Promise<FloodResult[]>}
 */
export async function measureFloods(rounds, progress) {
  const results = [];
  for (const kind of KINDS) {
    /** @type {Record<"portreeve" | "miniupnpd", Figures[]>} */
    const figures = { portreeve: [], miniupnpd: [] };
    for (let round = 0; round < rounds; round += 1) {
      for (const subject of /** @type {const} */ (["portreeve", "miniupnpd"])) {
        const measured = await measure(subject, kind);
        figures[subject].push(measured);
        progress(`${kind.name}: ${subject} p99 ${measured.newP99.toFixed(1)}, ${measured.renewP99.toFixed(1)} ms`);
      }
    }
    results.push({ kind, portreeve: medians(figures.portreeve), miniupnpd: medians(figures.miniupnpd) });
  }
  return results;
}

/** @param {Figures[]} rounds @returns {Figures} */
function medians(rounds) {
  const of = (/** @type {keyof Figures} */ name) => median(rounds.map((each) => each[name]));
  return {
    newP50: of("newP50"),
    newP99: of("newP99"),
    renewP50: of("renewP50"),
    renewP99: of("renewP99"),
    answered: of("answered"),
    late: of("late"),
    resent: of("resent"),
    floodPerSecond: of("floodPerSecond"),
    pssBefore: of("pssBefore"),
    pssAfter: of("pssAfter"),
  };
}

/** @param {"portreeve" | "miniupnpd"} subject @param {Kind} kind @returns {Promise<Figures>} */
async function measure(subject, kind) {
  const [first = "", ...more] = GOOD_ADDRESSES;
  const topology = await createTopology({ clients: 2, clientAddresses: more.map((each) => `${each}/24`) });
  const [good, flooder] = topology.clients;
  if (good === undefined || flooder === undefined) throw new Error("the topology has two clients");
  try {
    const server = await startServer(subject, topology);
    try {
      const load = {
        server: topology.lanGateway,
        addresses: [first, ...more],
        firstInternalPort: 4000,
        firstSuggestedPort: 5400,
        lifetime: 7200,
        resendMs: 3000,
        resendMaxMs: 8000,
      };
      if (subject === "portreeve") await startMapLoad(good, { ...load, ...WARM_UP, protocol: "tcp" }).done;
      const pssBefore = memoryOf(server.pid).pssMb;
      const flood = kind.perSecond === 0 ? null : await start(kind, flooder, topology);
      const client = startMapLoad(good, { ...load, ...GOOD, protocol: "udp" });
      // The peer may never answer: what is open by then counts as unanswered.
      const end = setTimeout(() => void client.stop(), FLOOD_SECONDS * 1000);
      const { mapping, renewing, resent } = await client.done;
      clearTimeout(end);
      const renewals = renewing?.answered ? renewing : null;
      const sent = (await flood?.done) ?? { sent: 0, seconds: 1 };
      return {
        newP50: mapping.answered === 0 ? Number.NaN : mapping.p50,
        newP99: mapping.answered < GOOD.count ? Number.NaN : mapping.p99,
        renewP50: renewals === null ? Number.NaN : renewals.p50,
        renewP99: renewals === null ? Number.NaN : renewals.p99,
        answered: mapping.answered + (renewals?.answered ?? 0),
        late: mapping.late + (renewals?.late ?? 0),
        resent,
        floodPerSecond: sent.sent / sent.seconds,
        pssBefore,
        pssAfter: memoryOf(server.pid).pssMb,
      };
    } finally {
      await server.close();
    }
  } finally {
    await topology.close();
  }
}

/**
 * @param {Kind} kind
 * @param {import("../test/lab/topology.mjs").Host} flooder
 * @param {import("../test/lab/topology.mjs").Topology} topology
 */
function start({ payload, perSecond, everyone, inventStations = false }, flooder, { gateway, lanGateway }) {
  const sources = everyone === true ? EVERYONE : [flooder.address];
  return startFlood(flooder, gateway, lanGateway, {
    payload,
    perSecond,
    sources,
    inventStations,
    seconds: FLOOD_SECONDS,
  });
}

/** @param {"portreeve" | "miniupnpd"} subject @param {import("../test/lab/topology.mjs").Topology} topology */
async function startServer(subject, topology) {
  if (subject === "miniupnpd") {
    const peer = await startMiniupnpd(topology, "192.168.77.0/24");
    return { pid: peer.pid, close: async () => peer.close() };
  }
  const gateway = new Gateway(topology.gateway, { lan: [{ interface: "lan0" }], log: { level: "warn" } });
  try {
    await gateway.start();
  } catch (error) {
    await gateway.close();
    throw error;
  }
  return { pid: gateway.pid, close: () => gateway.close() };
}

/**
 * Rows of the table: ours, the peer's, and what is to be known of both.
 * @param {readonly FloodResult[]} results
 * @param {(value: number) => string} n
 */
export function floodRows(results, n) {
  const times = (/** @type {number} */ p50, /** @type {number} */ p99) =>
    `${Number.isNaN(p50) ? "–" : n(p50)} / ${Number.isNaN(p99) ? "–" : n(p99)}`;
  return results.flatMap(({ kind, portreeve: ours, miniupnpd: peer }) => [
    [
      `${kind.perSecond === 0 ? "" : "flood, "}${kind.name}: new mappings p50 / p99, ms`,
      times(ours.newP50, ours.newP99),
      times(peer.newP50, peer.newP99),
      kind.perSecond === 0 ? "" : `${n(ours.floodPerSecond)} and ${n(peer.floodPerSecond)} datagrams/s`,
    ],
    ["  renewals p50 / p99, ms", times(ours.renewP50, ours.renewP99), times(peer.renewP50, peer.renewP99), ""],
    [
      "  answered, of those after more than a second",
      `${ours.answered}, ${ours.late}`,
      `${peer.answered}, ${peer.late}`,
      `${ours.resent} and ${peer.resent} resent`,
    ],
    [
      "  PSS before → after, MB",
      `${n(ours.pssBefore)} → ${n(ours.pssAfter)}`,
      `${n(peer.pssBefore)} → ${n(peer.pssAfter)}`,
      "",
    ],
  ]);
}
