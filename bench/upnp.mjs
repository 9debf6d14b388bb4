// AddPortMapping, ours and the peer's in turn: new port mappings 0 → 1,000, 16 in flight, of 256 hosts.
import { fileURLToPath } from "node:url";
import { text } from "node:stream/consumers";
import { median } from "./statistics.mjs";
import { FIRST_EXTERNAL, FIRST_INTERNAL, startSubject } from "./subject.mjs";

const LOAD = fileURLToPath(new URL("upnp-load.mjs", import.meta.url));
const NEW_MAPPINGS = 1000;
const IN_FLIGHT = 16;
/** V8 has compiled what is hot after some thousand requests; a gateway runs for months. The peer is compiled already. */
const WARM_UP_ROUNDS = 3;
/** It now and then ends a connection without a word; what it does not answer is not in its rate. */
const PEER_REFUSALS_MAX = NEW_MAPPINGS / 100;
const CONTROL = {
  portreeve: { port: 49001, path: "/ctl/IPConn" },
  miniupnpd: { port: 5000, path: "/ctl/IPConn" },
};

/** @typedef {{ perSecond: number; p50: number; p99: number }} Rate */

/**
 * @param {number} pairs
 * @param {(text: string) => void} progress
 */
export async function compareUpnp(pairs, progress) {
  /** @type {Record<"portreeve" | "miniupnpd", Rate[]>} */
  const rates = { portreeve: [], miniupnpd: [] };
  for (let pair = 0; pair < pairs; pair += 1) {
    for (const kind of /** @type {const} */ (["portreeve", "miniupnpd"])) {
      const subject = await startSubject(kind, { upnp: true });
      try {
        for (let round = 0; kind === "portreeve" && round < WARM_UP_ROUNDS; round += 1)
          await add(subject, kind, (round + 1) * NEW_MAPPINGS, true);
        const rate = await add(subject, kind, 0, false);
        rates[kind].push(rate);
        progress(`pair ${pair + 1} of ${pairs}: ${kind} ${rate.perSecond.toFixed(0)} AddPortMapping/s`);
      } finally {
        await subject.close();
      }
    }
  }
  return { portreeve: medians(rates.portreeve), miniupnpd: medians(rates.miniupnpd) };
}

/**
 * @param {import("./subject.mjs").Subject} subject
 * @param {"portreeve" | "miniupnpd"} kind
 * @param {number} skip external ports: those of others are kept for a while after they are free
 * @param {boolean} release
 * @returns {Promise<Rate>}
 */
async function add({ client, topology, addresses }, kind, skip, release) {
  const child = client.spawn([process.execPath, LOAD], { stdio: ["pipe", "pipe", "inherit"] });
  const ports = { firstExternalPort: FIRST_EXTERNAL + skip, firstInternalPort: FIRST_INTERNAL };
  const load = {
    server: topology.lanGateway,
    ...CONTROL[kind],
    addresses,
    count: NEW_MAPPINGS,
    inFlight: IN_FLIGHT,
    release,
    ...ports,
  };
  child.stdin?.end(JSON.stringify(load));
  if (child.stdout === null) throw new Error("the load program has no output");
  const { refusals, ...rate } = JSON.parse(await text(child.stdout));
  const refused = Object.values(refusals).reduce((sum, count) => sum + count, 0);
  if (refused > (kind === "portreeve" ? 0 : PEER_REFUSALS_MAX))
    throw new Error(`${kind} refused, by HTTP status: ${JSON.stringify(refusals)}`);
  return rate;
}

/** @param {readonly Rate[]} rates @returns {Rate} */
function medians(rates) {
  return {
    perSecond: median(rates.map(({ perSecond }) => perSecond)),
    p50: median(rates.map(({ p50 }) => p50)),
    p99: median(rates.map(({ p99 }) => p99)),
  };
}

/** @param {Awaited<ReturnType<typeof compareUpnp>>} measured @param {(value: number) => string} n */
export function upnpRows({ portreeve: ours, miniupnpd: peer }, n) {
  return [
    ["", "Portreeve", "miniupnpd", "ratio"],
    [
      `AddPortMapping 0 → ${NEW_MAPPINGS}, /s`,
      n(ours.perSecond),
      n(peer.perSecond),
      `${n(ours.perSecond / peer.perSecond)} ×`,
    ],
    ["  p50 / p99, ms", `${n(ours.p50)} / ${n(ours.p99)}`, `${n(peer.p50)} / ${n(peer.p99)}`, ""],
  ];
}
