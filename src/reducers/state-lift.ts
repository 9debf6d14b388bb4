import { assert } from "../lib/assert.ts";
import { REDUCER_VERSION } from "./state.ts";

/** Gives the JSON of a state as the next REDUCER_VERSION would have folded it. Pure. */
export type StateLift = (state: unknown) => unknown;

/**
 * One step from each version below REDUCER_VERSION to the next, in order. Only the state that a compacted log begins
 * with needs them: every other snapshot of another version is passed over and folded again.
 */
export const STATE_LIFTS: readonly StateLift[] = [];

assert(STATE_LIFTS.length === REDUCER_VERSION - 1, "every REDUCER_VERSION but the first needs a step in STATE_LIFTS");

export function liftState(state: unknown, from: number, lifts: readonly StateLift[] = STATE_LIFTS): unknown {
  assert(from >= 1 && from <= lifts.length + 1, `a state of fold version ${from} is of a newer Portreeve`);
  return lifts.slice(from - 1).reduce((lifted, lift) => lift(lifted), state);
}
