// Starts the flood program inside a host's namespace.
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("programs/flood.py", import.meta.url));

/**
 * @typedef {object} Flood
 * @property {"map" | "natpmp" | "malformed"} payload
 * @property {string[]} sources addresses the datagrams say they are from, in turn
 * @property {number} perSecond
 * @property {number} seconds
 * @property {boolean} [inventStations] each datagram from another link-layer address
 * @property {boolean} [announce] before each datagram, an ARP request that claims its address for its station
 * @property {number} [seed]
 */

/**
 * Resolves once it is under way; `done` once it is over.
 * @param {import("./topology.mjs").Host} host
 * @param {import("./topology.mjs").Host} gateway
 * @param {string} server
 * @param {Flood} flood
 */
export async function startFlood(host, gateway, server, flood) {
  const stationOf = async (/** @type {import("./topology.mjs").Host} */ of, /** @type {string} */ name) => {
    const [link] = JSON.parse(await of.exec("ip", "-json", "link", "show", name));
    return link.address;
  };
  const child = host.spawn(["/usr/bin/python3", PROGRAM], { stdio: ["pipe", "pipe", "inherit"] });
  if (child.stdout === null) throw new Error("the flood has no stdout");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async () => {
    const { done, value } = await lines.next();
    if (done === true) throw new Error("the flood ended early");
    return value;
  };
  const [station, serverStation] = await Promise.all([stationOf(host, "eth0"), stationOf(gateway, "lan0")]);
  const defaults = { seed: 1, inventStations: false, announce: false, interface: "eth0" };
  child.stdin?.end(`${JSON.stringify({ ...defaults, server, station, serverStation, ...flood })}\n`);
  if ((await line()) !== "flooding") throw new Error("the flood did not start");
  /** @type {Promise<{ sent: number; seconds: number }>} */
  const done = line().then(JSON.parse);
  return { done };
}
