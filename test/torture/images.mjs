// The data directories that faults begin with, each as a stop of some kind leaves it.
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { copyAsOwn } from "./own-copy.mjs";
import { makePeopled } from "./people.mjs";

/** @typedef {import("./lane.mjs").Lane} Lane */
export const IMAGES = /** @type {const} */ (["new", "stopped", "killed", "grown"]);
/** "long": more records than some configurations retain; "peopled": subnets and devices. @typedef {(typeof IMAGES)[number] | "long" | "peopled"} ImageName */

/** LevelDB merges tables once it has four of them, and each start makes one. */
const RESTARTS = 5;

/** Records that come before the older snapshot of the long image, and between its two. */
const LENGTHS = [600, 1200];

const from = (/** @type {string} */ path) => import(new URL(`../../dist/${path}.js`, import.meta.url).href);

/**
 * @param {Lane} lane @param {string} folder @param {readonly ImageName[]} names
 * @returns {Promise<Record<ImageName, import("./lane.mjs").Image>>}
 */
export async function makeImages(lane, folder, names = IMAGES) {
  /** @type {Record<ImageName, import("./lane.mjs").Image>} */
  const images = { new: null, stopped: null, killed: null, grown: null, long: null, peopled: null };
  const save = (/** @type {"stopped" | "killed" | "grown" | "peopled"} */ name) => {
    images[name] = join(folder, name);
    lane.save(join(folder, name));
  };
  await lane.begin(null);
  if (names.includes("peopled")) {
    await makePeopled(lane);
    save("peopled");
    await lane.begin(null);
  }
  if (names.every((name) => name === "new" || name === "peopled")) return images;
  await run(lane, 1, "stop");
  save("stopped");
  if (names.includes("long")) {
    images.long = join(folder, "long");
    await lengthen(join(folder, "stopped"), images.long);
  }
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

/** Adds records that change nothing for anyone, with two snapshots over them. @param {string} image @param {string} target */
async function lengthen(image, target) {
  const { openStore } = await from("daemon/store");
  const { SnapshotKeeper } = await from("controller/snapshot-keeper");
  const { event } = await from("events/index");
  const directory = join(target, "data");
  rmSync(target, { recursive: true, force: true });
  copyAsOwn(join(image, "data"), directory);
  for (const name of ["master.key", "promises.ndjson"]) cpSync(join(image, name), join(target, name));
  for (const length of LENGTHS) {
    let { log, state } = await openStore(directory, () => {});
    const one = { at: state.at, source: "controller", requestId: "long", causedBy: null };
    const records = Array.from({ length }, () => ({ ...one, event: event("reconciler.resumed", { name: "none" }) }));
    await log.append({ expectedHead: log.head.seq, records, answers: [] });
    await log.close();
    const store = await openStore(directory, () => {});
    ({ log, state } = store);
    await new SnapshotKeeper(store.snapshots, log, () => state).create();
    await log.close();
  }
}
