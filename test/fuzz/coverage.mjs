import { Session } from "node:inspector";

/**
 * @typedef {import("node:inspector").Profiler.FunctionCoverage} FunctionCoverage
 *
 * Every block V8 has named so far, by function. It leaves out a block that ran as often as what surrounds it, so a
 * block that is named once must be asked about ever after.
 * @typedef {Map<string, Map<string, readonly [number, number]>>} Blocks
 */

/**
 * Which blocks of code ran since the last look, by V8's own counters. Begun before the code is loaded: functions that
 * were compiled earlier have no counters for their blocks.
 */
export class Coverage {
  #session = new Session();
  #ofInterest;
  /** @param {(url: string) => boolean} ofInterest */
  constructor(ofInterest) {
    this.#ofInterest = ofInterest;
    this.#session.connect();
    this.#post("Profiler.enable");
    this.#post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /**
   * The blocks that ran, and how often all of them together did: a measure of work that no clock is in.
   * @param {Blocks} known is added to
   */
  take(known) {
    /** @type {Set<string>} */
    const ran = new Set();
    let work = 0;
    const { result } = this.#post("Profiler.takePreciseCoverage");
    for (const { url, functions } of result) {
      if (!this.#ofInterest(url)) continue;
      for (const each of functions) work += takeFunction(url, each, known, ran);
    }
    return { ran, work };
  }

  close() {
    this.#session.disconnect();
  }

  /** @param {string} method @param {object} [parameters] @returns {any} */
  #post(method, parameters) {
    /** @type {any} */
    let answer;
    // Within one thread the inspector answers before `post` returns.
    this.#session.post(method, parameters, (error, value) => {
      if (error !== null) throw new Error(`${method}: ${error.message}`);
      answer = value;
    });
    return answer;
  }
}

/** @param {string} url @param {FunctionCoverage} of @param {Blocks} blocks @param {Set<string>} ran */
function takeFunction(url, { ranges }, blocks, ran) {
  const [whole] = ranges;
  if (whole === undefined || whole.count === 0) return 0;
  const name = `${url}:${whole.startOffset}`;
  const known = blocks.get(name) ?? new Map();
  blocks.set(name, known);
  let work = 0;
  for (const { startOffset, endOffset, count } of ranges) {
    known.set(`${startOffset}-${endOffset}`, [startOffset, endOffset]);
    work += count;
  }
  for (const [block, [start, end]] of known) {
    // Outer ranges come before those inside them: the last that holds the block is the innermost.
    const holder = ranges.findLast(({ startOffset, endOffset }) => startOffset <= start && end <= endOffset);
    if (holder !== undefined && holder.count > 0) ran.add(`${name} ${block}`);
  }
  return work;
}
