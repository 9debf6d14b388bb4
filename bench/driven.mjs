// A program of the lab that is told what to do (test/lab/programs/driven.mjs), from a benchmark.
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/**
 * @param {import("../test/lab/topology.mjs").Host} host
 * @param {string} program
 * @param {readonly string[]} args
 */
export function drive(host, program, args = []) {
  const path = fileURLToPath(new URL(`../test/lab/programs/${program}`, import.meta.url));
  const child = host.spawn([process.execPath, path, ...args], { stdio: ["pipe", "pipe", "inherit"] });
  /** @type {Map<number, { resolve: (value: any) => void; reject: (error: Error) => void }>} */
  const waiting = new Map();
  let last = 0;
  if (child.stdout === null || child.stdin === null) throw new Error("no pipes");
  const { stdin, stdout } = child;
  createInterface({ input: stdout }).on("line", (line) => {
    const { id, value, error } = JSON.parse(line);
    if (error === undefined) waiting.get(id)?.resolve(value);
    else waiting.get(id)?.reject(new Error(error.message));
    waiting.delete(id);
  });
  child.on("exit", () => {
    for (const { reject } of waiting.values()) reject(new Error(`${program} ended`));
  });
  return {
    child,
    /** @param {string} operation @param {object} args @returns {Promise<any>} */
    call(operation, args = {}) {
      last += 1;
      const id = last;
      stdin.write(`${JSON.stringify({ id, operation, args })}\n`);
      return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
    },
    /** @param {NodeJS.Signals} signal */
    end(signal = "SIGKILL") {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill(signal);
      return ended;
    },
  };
}
