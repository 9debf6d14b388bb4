// The data directories that faults begin with, each as a stop of some kind leaves it.
import { join } from "node:path";

/** @typedef {import("./lane.mjs").Lane} Lane */
export const IMAGES = /** @type {const} */ (["new", "stopped", "killed", "grown"]);
/** @typedef {(typeof IMAGES)[number]} ImageName */

/** LevelDB merges tables once it has four of them, and each start makes one. */
const RESTARTS = 5;

/**
 * @param {Lane} lane @param {string} folder @param {readonly ImageName[]} names
 * @returns {Promise<Record<ImageName, import("./lane.mjs").Image>>}
 */
export async function makeImages(lane, folder, names = IMAGES) {
  /** @type {Record<ImageName, import("./lane.mjs").Image>} */
  const images = { new: null, stopped: null, killed: null, grown: null };
  const save = (/** @type {"stopped" | "killed" | "grown"} */ name) => {
    images[name] = join(folder, name);
    lane.save(join(folder, name));
  };
  await lane.begin(null);
  if (names.every((name) => name === "new")) return images;
  await run(lane, 1, "stop");
  save("stopped");
  if (!names.includes("killed") && !names.includes("grown")) return images;
  await run(lane, 2, "kill");
  save("killed");
  if (!names.includes("grown")) return images;
  for (let round = 3; round < 3 + RESTARTS; round += 1) await run(lane, round, round % 2 === 0 ? "stop" : "kill");
  save("grown");
  return images;
}

/** The round that is under way when the fault comes; no image has it. */
export const FAULT_ROUND = 0;

/** @param {Lane} lane @param {number} round @param {"stop" | "kill"} end */
async function run(lane, round, end) {
  if (!(await lane.start()).up)
    throw new Error(`the daemon does not start:\n${lane.gateway.log.slice(-10).join("\n")}`);
  await lane.load(round);
  await (end === "stop" ? lane.stop() : lane.gateway.kill());
}
