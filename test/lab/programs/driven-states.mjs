// A state of nothing but rows, for a driver that reconciles as the daemon does.
import { built } from "./driven.mjs";

const { createReconciler } = await built("reconcilers/engine/engine");
const { createMetrics } = await built("lib/metrics");

/** Milliseconds that only grow, as gateway time does; alarms in a lab need no more than a timer. */
export const clock = {
  now: () => Date.now(),
  /** @param {number} at @param {() => void} callback */
  setAlarm(at, callback) {
    const timer = setTimeout(callback, Math.max(0, at - Date.now()));
    return { cancel: () => clearTimeout(timer) };
  },
};

/** @typedef {{ key: string, spec: any, owners: string[], revision: number }} Row */
/** @typedef {{ seq: number, rows: Map<string, Row> }} Rows */

export class DrivenStates {
  /** @type {Rows} */
  state = { seq: 0, rows: new Map() };
  /** @type {Set<(next: Rows) => void>} */
  #listeners = new Set();

  /** @param {(next: Rows) => void} listener */
  subscribe(listener) {
    this.#listeners.add(listener);
    return { close: () => this.#listeners.delete(listener) };
  }

  /** What ought to be, from now on; answers with its number. @param {readonly Row[]} rows */
  want(rows) {
    const seq = this.state.seq + 1;
    const before = this.state.rows;
    /** @param {Row} row */
    const revised = (row) => {
      const old = before.get(row.key);
      return old !== undefined && JSON.stringify(old.spec) === JSON.stringify(row.spec)
        ? old
        : { ...row, revision: seq };
    };
    this.state = { seq, rows: new Map(rows.map((row) => [row.key, revised(row)])) };
    for (const listener of this.#listeners) listener(this.state);
    return seq;
  }

  /** @param {Rows} state */
  select = ({ rows }) => ({
    get: (/** @type {string} */ key) => rows.get(key),
    rows: () => rows.values(),
    changedSince: () => null,
  });

  /** @param {any} definition @param {any} target */
  reconciler(definition, target) {
    const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
    const deps = { clock, random: Math.random, log, metrics: createMetrics(), states: this, initialized: () => true };
    return createReconciler(definition, target, { ...deps, pausedUntil: () => null });
  }
}
