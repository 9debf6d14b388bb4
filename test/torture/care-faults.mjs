// F1 F2 F6 F8 F13: the log is being cared for — a snapshot written, old ones thinned, records leaving for the archive —
// and the daemon is killed at every system call and named step of that, or the disk refuses. Wherever it is, every
// record is in the log or in the archive, and the next start finishes what was begun.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { injected } from "./disk-errors.mjs";
import { environment, slug } from "./failpoints.mjs";
import { judge } from "./oracle.mjs";
import { attachStrace, logPaths, namesOf, STEADY_NAMES, STORAGE_CALLS, underStrace } from "./strace.mjs";
import { mustStart } from "./syscall-kills.mjs";

/** @typedef {import("./series.mjs").Series} Series */
/** @typedef {import("./lane.mjs").Lane} Lane */
/** @typedef {import("./strace.mjs").Injection} Injection */

/** The image "long" has more; as many as are surplus leave at a start. */
const RETAIN = { log: { retain: { events: 1000, days: 365 } } };
const LOG_FILES = 40;
const DONE_WITHIN_MS = 10_000;
const POLL_MS = 20;

/** @type {readonly import("./failpoints.mjs").Step[]} */
const COMPACTING = [
  { name: "begins", module: "controller/snapshot-keeper", of: "SnapshotKeeper.compact", when: "before" },
  { name: "base saved", module: "events/snapshot-store", of: "SnapshotFiles.write", when: "after" },
  { name: "archive file begins", module: "events/leveldb/archive", of: "Archive.write", when: "before" },
  { name: "archive file there", module: "events/leveldb/archive", of: "Archive.write", when: "after" },
  { name: "archived, not removed", module: "events/leveldb/compaction", of: "archiveRecords", when: "after" },
  { name: "next page to remove", module: "events/leveldb/compaction", of: "removalOps", when: "after" },
  { name: "removed", module: "events/leveldb/level-log", of: "LevelLog.compact", when: "after" },
  { name: "snapshot thinned", module: "events/snapshot-store", of: "SnapshotFiles.remove", when: "after" },
  { name: "snapshots thinned", module: "events/snapshot-store", of: "keepNewest", when: "after" },
  { name: "file written", module: "events/durable-file", of: "FileHandle.write", when: "after" },
  { name: "file synced", module: "events/durable-file", of: "FileHandle.sync", when: "after" },
];

const ERRORS = /** @type {const} */ ([
  ["EIO", ["write", "fdatasync", "fsync", "rename", "unlink"]],
  ["ENOSPC", ["openat", "write", "fdatasync", "rename", "mkdir"]],
]);

/** @returns {Series[]} */
export function careFaults() {
  const snapshots = STORAGE_CALLS.map((call) => savingKilled(call));
  const calls = STORAGE_CALLS.map((call) =>
    compaction(`kill/long/compact/${call}`, "F1 F13", async (lane, nth) => {
      const injection = { call, when: String(nth), what: "signal=KILL", paths: compactionPaths(lane) };
      return await compacts(lane, { prefix: underStrace(lane.dataDir, lane.traceFile, injection), env: STEADY_NAMES });
    }),
  );
  const steps = COMPACTING.map((step) =>
    compaction(`step/long/compact/${slug(step.name)}`, "F2 F13", async (lane, nth) => {
      return await compacts(lane, { env: environment(step, nth) });
    }),
  );
  const errors = ERRORS.flatMap(([error, failing]) =>
    failing.flatMap((call) =>
      /** @type {const} */ (["once", "lasting"]).map((how) =>
        compaction(`error/compact/${error}/${call}/${how}`, "F6 F8 F13", async (lane, nth) => {
          const when = how === "once" ? String(nth) : `${nth}+`;
          const injection = { call, when, what: `error=${error}`, paths: compactionPaths(lane) };
          const prefix = underStrace(lane.dataDir, lane.traceFile, injection);
          await compacts(lane, { prefix, env: STEADY_NAMES });
          return injected(lane);
        }),
      ),
    ),
  );
  return [...snapshots, ...calls, ...steps, ...errors];
}

/** @param {Injection["call"]} call @returns {Series} */
const savingKilled = (call) => ({
  name: `kill/killed/snapshot/${call}`,
  image: "killed",
  faults: "F1 F13",
  run: async (lane, library, nth) => {
    await mustStart(lane, { env: STEADY_NAMES });
    const { seq } = (await lane.http.get("/api/v1/status")).document;
    const paths = [...snapshotPaths(lane), ...namesOf(snapshotFile(lane, seq))];
    const injection = { call, when: String(nth), what: "signal=KILL", paths };
    const strace = await attachStrace(lane.gateway.pid, lane.dataDir, lane.traceFile, injection);
    const fired = await lane.http.post("/api/v1/snapshots", null, {}).then(
      ({ status }) => status !== 201,
      () => true,
    );
    if (fired && !(await lane.ends(DONE_WITHIN_MS))) throw new Error("no snapshot, and the daemon lives");
    await strace.detach();
    await lane.gateway.kill();
    return { fired, ...(await judge(lane, library)) };
  },
});

/**
 * @param {string} name @param {string} faults @param {(lane: Lane, nth: number) => Promise<boolean>} live whether the fault came
 * @returns {Series}
 */
const compaction = (name, faults, live) => ({
  name,
  image: "long",
  faults,
  run: async (lane, library, nth) => {
    lane.configure(RETAIN);
    const fired = await live(lane, nth);
    await lane.gateway.kill();
    const verdict = await judge(lane, library);
    return { fired, outcome: verdict.outcome, faults: [...verdict.faults, ...(await unfinished(lane))] };
  },
});

/** From a start until records have left the log and the daemon has stopped; whether it died on the way. @param {Lane} lane @param {import("./lane.mjs").Start} start */
async function compacts(lane, start) {
  if (!(await lane.start(start)).up) return true;
  await settled(lane);
  return (await lane.stop()) === null;
}

/** Until records have left the log, or cannot for now. @param {Lane} lane */
async function settled({ gateway, http }) {
  const until = performance.now() + DONE_WITHIN_MS;
  while (gateway.running && performance.now() < until) {
    const { document } = await http.get("/api/v1/status").catch(() => ({ document: null }));
    if (document?.log?.base > 0 || gateway.log.some((line) => line.includes("no snapshot now"))) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** What the start after a fault has left undone of what the fault cut short. @param {Lane} lane */
async function unfinished(lane) {
  lane.gateway.log.length = 0;
  if (!(await lane.start()).up) return ["it does not start a second time"];
  await settled(lane);
  const { document } = await lane.http.get("/api/v1/status");
  await lane.stop();
  const faults = document.log.base > 0 ? [] : ["no record has left the log at the start after that"];
  const temporary = readdirSync(lane.dataDir, { recursive: true }).filter((name) => String(name).endsWith(".tmp"));
  return [...faults, ...temporary.map((name) => `${String(name)} is left behind`)];
}

/** @param {Lane} lane */
function snapshotPaths({ dataDir }) {
  const directory = join(dataDir, "snapshots");
  return [dataDir, directory, ...readdirSync(directory).map((name) => join(directory, name))];
}

/** @param {Lane} lane @param {number} seq */
const snapshotFile = ({ dataDir }, seq) => join(dataDir, "snapshots", `${hex(seq)}.json`);

/** What is touched while everything that the older snapshot covers leaves the log. @param {Lane} lane */
function compactionPaths(lane) {
  const { dataDir } = lane;
  const [older = ""] = readdirSync(join(dataDir, "snapshots")).sort();
  const last = Number.parseInt(older, 16);
  const archive = join(dataDir, "archive");
  return [
    ...snapshotPaths(lane),
    ...namesOf(snapshotFile(lane, last)),
    archive,
    ...namesOf(join(archive, `${hex(1)}-${hex(last)}.ndjson`)),
    ...logPaths(join(dataDir, "log"), LOG_FILES),
  ];
}

/** @param {number} seq */
const hex = (seq) => seq.toString(16).padStart(14, "0");
