// Starts the load program inside a host's namespace; the lab, the benchmarks and the demo share it.
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("programs/map-load.mjs", import.meta.url));

/**
 * Times in ms; `late` are those that took more than a second.
 * @typedef {{ answered: number; seconds: number; perSecond: number; p50: number; p99: number; max: number; late: number }} Phase
 * @typedef {{ mapping: Phase; renewing: Phase | null; refusals: Record<string, number>; resent: number; epochFaults: string[] }} LoadResult
 */

/**
 * @param {import("./topology.mjs").Host} host
 * @param {import("./programs/map-load.mjs").Load} load
 */
export function startMapLoad(host, load) {
  const child = host.spawn([process.execPath, PROGRAM], { stdio: ["pipe", "pipe", "inherit"] });
  let output = "";
  child.stdout?.setEncoding("utf8").on("data", (chunk) => {
    output += chunk;
  });
  child.stdin?.write(`${JSON.stringify(load)}\n`);
  const done = new Promise((/** @type {(result: LoadResult) => void} */ resolve, reject) => {
    child.on("close", (code) => {
      if (code === 0) resolve(JSON.parse(output));
      else reject(new Error(`the load program ended with ${code}`));
    });
  });
  return {
    done,
    /** No further request; what is unanswered is given up. */
    stop() {
      child.stdin?.end();
      return done;
    },
  };
}
