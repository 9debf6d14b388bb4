// Memory that processes really cost: PSS shares what they share.
import { readdirSync, readFileSync } from "node:fs";

/** @param {number} pid itself and all it started @returns {number[]} */
export function processTree(pid) {
  return [pid, ...childrenOf(pid).flatMap(processTree)];
}

/** @param {number} pid @returns {number[]} */
function childrenOf(pid) {
  return unlessEnded([], () =>
    readdirSync(`/proc/${pid}/task`).flatMap((task) => {
      const text = readFileSync(`/proc/${pid}/task/${task}/children`, "utf8");
      return text.split(" ").filter(Boolean).map(Number);
    }),
  );
}

/**
 * Some are there for a moment only, such as an `ip` that lists addresses.
 * @template T
 * @param {T} otherwise
 * @param {() => T} read
 */
function unlessEnded(otherwise, read) {
  try {
    return read();
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes(/** @type {NodeJS.ErrnoException} */ (error).code ?? "")) return otherwise;
    throw error;
  }
}

/** @param {number} pid @returns {{ pssMb: number; rssMb: number; processes: number }} */
export function memoryOf(pid) {
  let pss = 0;
  let rss = 0;
  let processes = 0;
  for (const each of processTree(pid)) {
    const read = () => readFileSync(`/proc/${each}/smaps_rollup`, "utf8");
    const rollup = each === pid ? read() : unlessEnded("", read);
    if (rollup === "") continue;
    pss += Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0);
    rss += Number(/^Rss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0);
    processes += 1;
  }
  return { pssMb: pss / 1024, rssMb: rss / 1024, processes };
}
