/**
 * Modules of src/ by their path without ending: `npm test` loads the sources, `npm run fuzz` what was built of them.
 * @typedef {(path: string) => Promise<any>} Load
 * @typedef {import("../fuzzer.mjs").Target} Target
 */

/** @param {string} text hex, with spaces */
export const hex = (text) => Buffer.from(text.replaceAll(/\s/g, ""), "hex");

/** @param {readonly string[]} texts */
export const words = (...texts) => texts.map((text) => Buffer.from(text));

/**
 * What decoding gave; undefined if it threw the codec's own error. Any other is a fault of ours.
 * @template T
 * @param {abstract new (...input: any[]) => Error} own
 * @param {() => T} decode
 * @returns {T | undefined}
 */
export function decoded(own, decode) {
  try {
    return decode();
  } catch (cause) {
    if (cause instanceof own) return undefined;
    throw cause;
  }
}
