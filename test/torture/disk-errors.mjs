// F6 F8 F9: EIO and ENOSPC at the n-th write, fsync or rename of the data directory, once or until the disk is well
// again, and an fsync that takes five seconds. The daemon refuses while it must, acknowledges again by itself once it
// can, and nothing that was acknowledged is gone after a kill.
import { readFileSync } from "node:fs";
import { FAULT_ROUND } from "./images.mjs";
import { judge } from "./oracle.mjs";
import { attachStrace, underStrace } from "./strace.mjs";
import { mustStart } from "./syscall-kills.mjs";

/** @typedef {import("./series.mjs").Series} Series */
/** @typedef {import("./lane.mjs").Lane} Lane */

const ERRORS = /** @type {const} */ ([
  ["EIO", ["write", "pwrite64", "fdatasync", "fsync", "rename", "unlink"]],
  ["ENOSPC", ["openat", "write", "pwrite64", "fdatasync", "rename", "mkdir"]],
]);
/** Asked again so often while a lasting fault lasts: enough to see that it stays refused. */
const PATIENCE_MEANWHILE = 3;
const SLOW_US = 5_000_000;
/** Slow fsyncs of one run: the third commit, and one in the burst. */
const SLOW_POINTS = 2;

/** @returns {Series[]} */
export function diskErrors() {
  return ERRORS.flatMap(([error, calls]) =>
    calls.flatMap((call) => [
      series(`error/serve/${error}/${call}/once`, "F6 F8", (lane, nth) =>
        once(lane, { call, when: String(nth), what: `error=${error}` }),
      ),
      series(`error/serve/${error}/${call}/lasting`, "F6 F7 F8", (lane, nth) =>
        lasting(lane, { call, when: `${nth}+`, what: `error=${error}` }),
      ),
      series(`error/boot/${error}/${call}/once`, "F6 F8", (lane, nth) =>
        boot(lane, { call, when: String(nth), what: `error=${error}` }),
      ),
      series(`error/boot/${error}/${call}/lasting`, "F7 F8", (lane, nth) =>
        boot(lane, { call, when: `${nth}+`, what: `error=${error}` }),
      ),
    ]),
  );
}

/** @returns {Series[]} */
export function slowSyncs() {
  const slow = (/** @type {Lane} */ lane, /** @type {number} */ nth) =>
    once(lane, { call: "fdatasync", when: String(nth * 3), what: `delay_enter=${SLOW_US}` });
  return [{ ...series("slow/serve/fdatasync", "F9", slow), last: SLOW_POINTS }];
}

/**
 * @param {string} name @param {string} faults @param {(lane: Lane, nth: number) => Promise<{ fired: boolean; complaints: string[] }>} live
 * @returns {Series}
 */
const series = (name, faults, live) => ({
  name,
  image: "killed",
  faults,
  run: async (lane, library, nth) => {
    const { fired, complaints } = await live(lane, nth);
    await lane.gateway.kill();
    const verdict = await judge(lane, library);
    return { fired, outcome: verdict.outcome, faults: [...complaints, ...verdict.faults] };
  },
});

/** @param {Lane} lane @param {import("./strace.mjs").Injection} injection */
async function once(lane, injection) {
  await mustStart(lane);
  const strace = await attachStrace(lane.gateway.pid, lane.dataDir, lane.traceFile, injection);
  const complete = await lane.load(FAULT_ROUND);
  await strace.detach();
  return { fired: injected(lane), complaints: complete ? [] : [`it does not recover: ${ending(lane)}`] };
}

/** @param {Lane} lane @param {import("./strace.mjs").Injection} injection */
async function lasting(lane, injection) {
  await mustStart(lane);
  const strace = await attachStrace(lane.gateway.pid, lane.dataDir, lane.traceFile, injection);
  await lane.load(FAULT_ROUND, { patience: PATIENCE_MEANWHILE });
  await strace.detach();
  const complete = await lane.load(FAULT_ROUND);
  return { fired: injected(lane), complaints: complete ? [] : [`it does not recover: ${ending(lane)}`] };
}

/** Up or not, it must not have spoilt anything. @param {Lane} lane @param {import("./strace.mjs").Injection} injection */
async function boot(lane, injection) {
  const { up, line } = await lane.start({ prefix: underStrace(lane.dataDir, lane.traceFile, injection) });
  const complaints =
    up && line?.msg === "safe-mode" ? [`safe mode for an error of the disk: ${String(line.reason)}`] : [];
  if (up && complaints.length === 0) await lane.load(FAULT_ROUND, { patience: PATIENCE_MEANWHILE });
  return { fired: injected(lane), complaints };
}

/** Whether strace did anything. @param {Lane} lane */
export function injected({ traceFile }) {
  const trace = readFileSync(traceFile, "utf8");
  return trace.includes("(INJECTED)") || trace.includes("(DELAYED)");
}

/** @param {Lane} lane */
const ending = ({ gateway }) =>
  `${gateway.running ? "running" : `ended with ${gateway.child?.exitCode ?? gateway.child?.signalCode}`}; ${gateway.log.slice(-2).join(" ")}`;
