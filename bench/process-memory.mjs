// Memory that processes really cost: PSS shares what they share.
import { readdirSync, readFileSync } from "node:fs";

/** @param {number} pid itself and all it started @returns {number[]} */
export function processTree(pid) {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) => {
    const text = readFileSync(`/proc/${pid}/task/${task}/children`, "utf8");
    return text.split(" ").filter(Boolean).map(Number);
  });
  return [pid, ...children.flatMap(processTree)];
}

/** @param {number} pid @returns {{ pssMb: number; rssMb: number; processes: number }} */
export function memoryOf(pid) {
  const tree = processTree(pid);
  let pss = 0;
  let rss = 0;
  for (const each of tree) {
    const rollup = readFileSync(`/proc/${each}/smaps_rollup`, "utf8");
    pss += Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0);
    rss += Number(/^Rss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0);
  }
  return { pssMb: pss / 1024, rssMb: rss / 1024, processes: tree.length };
}
