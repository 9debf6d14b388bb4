// A series of faults that differ in where they strike: at the first occasion, the second, … until one passes untouched.

/**
 * @typedef {object} Result
 * @property {boolean} fired false: there was no n-th occasion, so the series is at its end
 * @property {import("./oracle.mjs").Verdict["outcome"]} outcome
 * @property {string[]} faults
 */
/**
 * @typedef {object} Series
 * @property {string} name
 * @property {string} faults numbers of the fault catalogue
 * @property {import("./images.mjs").ImageName} image what each point begins with
 * @property {(lane: import("./lane.mjs").Lane, library: import("./oracle.mjs").Library, nth: number) => Promise<Result>} run
 * @property {number} [last] no further than this
 * @property {boolean} [certain] there is a first occasion: none is a fault
 */
/** @typedef {{ point: string; result: Result }} Reached */

/** More occasions than any phase has: a series that goes on for ever is a bug of the harness. */
const OCCASIONS_MAX = 2000;

/**
 * One point: `name/n`, from a fresh copy of its image.
 * @param {Series} series @param {number} nth @param {import("./lane.mjs").Lane} lane
 * @param {import("./oracle.mjs").Library} library @param {import("./lane.mjs").Image} image
 * @returns {Promise<Reached>}
 */
export async function runPoint(series, nth, lane, library, image) {
  const point = `${series.name}/${nth}`;
  await lane.begin(image);
  try {
    return { point, result: await series.run(lane, library, nth) };
  } catch (error) {
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { point, result: { fired: true, outcome: "whole", faults: [`the harness failed: ${what}`] } };
  }
}

/**
 * @param {Series} series @param {import("./lane.mjs").Lane} lane @param {import("./oracle.mjs").Library} library
 * @param {import("./lane.mjs").Image} image @returns {AsyncGenerator<Reached>}
 */
export async function* runSeries(series, lane, library, image) {
  for (let nth = 1; nth <= (series.last ?? OCCASIONS_MAX); nth += 1) {
    const reached = await runPoint(series, nth, lane, library, image);
    const never = nth === 1 && series.certain === true && !reached.result.fired;
    if (never) reached.result.faults.push("it never came to this step");
    // The untouched run counts as a check too: it must be whole as well.
    if (reached.result.fired || reached.result.faults.length > 0) yield reached;
    if (!reached.result.fired) return;
  }
}
