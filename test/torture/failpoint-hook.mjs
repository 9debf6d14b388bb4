// Loaded into the program under test by NODE_OPTIONS=--import: kills it at the n-th time it passes a step.
import { existsSync } from "node:fs";
import { open } from "node:fs/promises";
import { register } from "node:module";
import { fileURLToPath } from "node:url";
import { isMainThread } from "node:worker_threads";

const text = process.env.PORTREEVE_TEST_FAILPOINT;
if (text === undefined) throw new Error("PORTREEVE_TEST_FAILPOINT is not set");
/** @type {import("./failpoints.mjs").Step & { nth: number }} */
const step = JSON.parse(text);
/** Counted only while this file is there, if one is named. */
const armed = process.env.PORTREEVE_TEST_FAILPOINT_ARMED;
let passed = 0;

/** @param {readonly unknown[]} args */
function pass(args) {
  if (armed !== undefined && !existsSync(armed)) return;
  if (step.only !== undefined && !JSON.stringify(args).includes(step.only)) return;
  passed += 1;
  // To the whole process, from whichever thread: nothing after this line runs.
  if (passed === step.nth) process.kill(process.pid, "SIGKILL");
}

/**
 * @template {(...args: any[]) => any} F
 * @param {F} original @returns {F}
 */
function wrap(original) {
  const wrapped = function (/** @type {unknown} */ this_, /** @type {any[]} */ args) {
    if (step.when === "before") pass(args);
    const result = original.apply(this_, args);
    if (step.when === "before") return result;
    if (!(result instanceof Promise)) {
      pass(args);
      return result;
    }
    return result.then((value) => {
      pass(args);
      return value;
    });
  };
  return /** @type {F} */ (
    /** @this {unknown} @param {any[]} args */
    function (...args) {
      return wrapped(this, args);
    }
  );
}

/** @param {any} prototype @param {string} method */
function patch(prototype, method) {
  if (typeof prototype?.[method] !== "function") throw new Error(`there is no method ${step.of} in ${step.module}`);
  prototype[method] = wrap(prototype[method]);
}

Object.assign(globalThis, { portreeveFailpoint: { wrap, patch } });
if (step.of.startsWith("FileHandle.")) {
  // Of node itself: every file that is written durably goes through it.
  const file = await open(fileURLToPath(import.meta.url));
  patch(Object.getPrototypeOf(file), step.of.slice("FileHandle.".length));
  await file.close();
} else if (isMainThread !== (step.inThreads ?? false)) {
  register("./failpoint-loader.mjs", { parentURL: import.meta.url, data: step });
}
