// Runs series on a few gateways at once and counts what came of each point.
import { makeImages } from "./images.mjs";
import { Lane } from "./lane.mjs";
import { loadLibrary } from "./oracle.mjs";
import { runPoint, runSeries } from "./series.mjs";

/** @typedef {import("./series.mjs").Series} Series */
/** @typedef {import("./series.mjs").Reached} Reached */
/** @typedef {{ points: number; whole: number; safe: number; failed: number }} Tally */

/** @returns {Tally} */
export const emptyTally = () => ({ points: 0, whole: 0, safe: 0, failed: 0 });

/** @param {Tally} tally @param {Pick<import("./oracle.mjs").Verdict, "outcome" | "faults">} verdict */
export function count(tally, { outcome, faults }) {
  tally.points += 1;
  if (faults.length > 0) tally.failed += 1;
  else if (outcome === "whole") tally.whole += 1;
  else tally.safe += 1;
}

/**
 * @param {readonly Series[]} all
 * @param {{ folder: string; jobs: number; onPoint: (series: Series, reached: Reached, lane: Lane) => void }} options
 */
export async function runAll(all, { folder, jobs, onPoint }) {
  const queue = [...all];
  await withLanes(all, folder, jobs, async (lane, library, images) => {
    for (let series = queue.shift(); series !== undefined; series = queue.shift()) {
      for await (const reached of runSeries(series, lane, library, images[series.image]))
        onPoint(series, reached, lane);
    }
  });
}

/**
 * Single points, "name/n" each.
 * @param {readonly Series[]} all @param {readonly string[]} points
 * @param {{ folder: string; jobs: number; onPoint: (series: Series, reached: Reached, lane: Lane) => void }} options
 */
export async function runPoints(all, points, { folder, jobs, onPoint }) {
  const queue = points.map((point) => pointNamed(all, point));
  const used = queue.map(({ series }) => series);
  await withLanes(used, folder, jobs, async (lane, library, images) => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { series, nth } = next;
      onPoint(series, await runPoint(series, nth, lane, library, images[series.image]), lane);
    }
  });
}

/** @param {readonly Series[]} all @param {string} point */
function pointNamed(all, point) {
  const slash = point.lastIndexOf("/");
  const series = all.find(({ name }) => name === point.slice(0, slash));
  const nth = Number(point.slice(slash + 1));
  if (series === undefined || !(nth > 0)) throw new Error(`there is no point ${point}`);
  return { series, nth };
}

/**
 * @param {readonly Series[]} used @param {string} folder @param {number} jobs
 * @param {(lane: Lane, library: import("./oracle.mjs").Library, images: Awaited<ReturnType<typeof makeImages>>) => Promise<void>} work
 */
async function withLanes(used, folder, jobs, work) {
  const library = await loadLibrary();
  /** @type {Lane[]} */
  const lanes = [];
  try {
    for (let index = 0; index < jobs; index += 1) lanes.push(await Lane.open());
    const [first] = lanes;
    if (first === undefined) throw new Error("a campaign needs a lane");
    const names = /** @type {import("./images.mjs").ImageName[]} */ ([...new Set(used.map(({ image }) => image))]);
    const images = await makeImages(first, folder, names);
    await Promise.all(lanes.map((lane) => work(lane, library, images)));
  } finally {
    for (const lane of lanes) await lane.close();
  }
}
