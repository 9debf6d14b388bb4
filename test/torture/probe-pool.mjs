// Directories to look at, spread over a few processes of directory-probe.mjs; one that dies is a fault of what it had.
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("directory-probe.mjs", import.meta.url));
const PROCESSES = 2;

/** @typedef {import("./oracle.mjs").Verdict} Verdict */
/** @typedef {Omit<import("./directory-probe.mjs").Probe, "id">} Ask */

export class ProbePool {
  /** @type {(import("node:child_process").ChildProcess | null)[]} */
  #children = Array.from({ length: PROCESSES }, () => null);
  #nextId = 1;

  get size() {
    return PROCESSES;
  }

  /** One at a time for each `slot`. @param {number} slot @param {Ask} ask @returns {Promise<Verdict>} */
  look(slot, ask) {
    const child = this.#children[slot] ?? fork(PROGRAM);
    this.#children[slot] = child;
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise((resolve) => {
      const onMessage = (/** @type {any} */ answer) => {
        child.off("exit", onExit);
        resolve(answer.verdict);
      };
      const onExit = (/** @type {number | null} */ code, /** @type {string | null} */ signal) => {
        child.off("message", onMessage);
        this.#children[slot] = null;
        resolve({ outcome: "whole", faults: [`the process dies of it: ${code ?? signal}`] });
      };
      child.once("message", onMessage);
      child.once("exit", onExit);
      child.send({ id, ...ask });
    });
  }

  close() {
    for (const child of this.#children) child?.kill("SIGKILL");
  }
}

/**
 * Runs `work` over the items with one slot each, and gives the results as they come.
 * @template T, R
 * @param {Iterable<T>} items @param {number} slots @param {(item: T, slot: number) => Promise<R>} work
 * @returns {AsyncGenerator<R>}
 */
export async function* spread(items, slots, work) {
  const iterator = items[Symbol.iterator]();
  /** @type {Map<number, Promise<{ slot: number; result: R }>>} */
  const running = new Map();
  const begin = (/** @type {number} */ slot) => {
    const { value, done } = iterator.next();
    if (done === true) running.delete(slot);
    else
      running.set(
        slot,
        work(value, slot).then((result) => ({ slot, result })),
      );
  };
  for (let slot = 0; slot < slots; slot += 1) begin(slot);
  while (running.size > 0) {
    const { slot, result } = await Promise.race(running.values());
    begin(slot);
    yield result;
  }
}
