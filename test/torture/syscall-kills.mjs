// F1: kill -9 at every system call that touches the data directory, in each phase of a life. Nth-call loops: the n-th
// call of a kind is the last thing the daemon does, for n = 1, 2, 3 … until a run passes untouched.
import { FAULT_ROUND } from "./images.mjs";
import { judge } from "./oracle.mjs";
import { attachStrace, STEADY_NAMES, STORAGE_CALLS, underStrace } from "./strace.mjs";

/** @typedef {import("./series.mjs").Series} Series */
/** @typedef {import("./lane.mjs").Lane} Lane */
/** @typedef {import("./strace.mjs").Injection} Injection */

/** Between the last answer that a client hears and the end that the parent does. */
const DIES_WITHIN_MS = 5000;
const PHASES = { boot, serve, stop };

/** @returns {Series[]} */
export function syscallKills() {
  return /** @type {const} */ (["new", "stopped", "killed", "grown"]).flatMap((image) =>
    Object.entries(PHASES).flatMap(([phase, live]) =>
      STORAGE_CALLS.map((call) => ({
        name: `kill/${image}/${phase}/${call}`,
        image,
        faults: "F1",
        run: async (lane, library, nth) => {
          const fired = await live(lane, { call, when: String(nth), what: "signal=KILL" });
          await lane.gateway.kill();
          return { fired, ...(await judge(lane, library)) };
        },
      })),
    ),
  );
}

/** From nothing to ready. @param {Lane} lane @param {Injection} injection */
async function boot(lane, injection) {
  const prefix = underStrace(lane.dataDir, lane.traceFile, injection);
  return !(await lane.start({ prefix, env: STEADY_NAMES })).up;
}

/** Under load. @param {Lane} lane @param {Injection} injection */
async function serve(lane, injection) {
  await mustStart(lane);
  const strace = await attachStrace(lane.gateway.pid, lane.dataDir, lane.traceFile, injection);
  const fired = await diedUnderLoad(lane);
  await strace.detach();
  return fired;
}

/** Whether the load was cut short by the daemon's end. @param {Lane} lane */
export async function diedUnderLoad(lane) {
  const complete = await lane.load(FAULT_ROUND);
  if (!complete && !(await lane.ends(DIES_WITHIN_MS))) throw new Error("the daemon lives, and does not acknowledge");
  return !complete;
}

/** From SIGTERM to the end, the snapshot at the stop included. @param {Lane} lane @param {Injection} injection */
async function stop(lane, injection) {
  await mustStart(lane);
  await lane.load(FAULT_ROUND);
  const strace = await attachStrace(lane.gateway.pid, lane.dataDir, lane.traceFile, injection);
  const code = await lane.stop();
  await strace.detach();
  return code === null;
}

/** @param {Lane} lane @param {import("./lane.mjs").Start} [start] */
export async function mustStart(lane, start) {
  if ((await lane.start(start)).up) return;
  throw new Error(`the daemon does not start without a fault:\n${lane.gateway.log.slice(-5).join("\n")}`);
}
