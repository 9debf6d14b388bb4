// F2: kill -9 at every named step between a decision and its reply, and in snapshots, checkpoints and the start.
// The steps are wrapped around the built program's own functions as its modules load, so the program holds no trace
// of them: `failpoint-hook.mjs` is loaded by NODE_OPTIONS, and a step whose function is gone is an error.
import { fileURLToPath } from "node:url";
import { judge } from "./oracle.mjs";
import { diedUnderLoad, mustStart } from "./syscall-kills.mjs";

const HOOK = fileURLToPath(new URL("failpoint-hook.mjs", import.meta.url));

/**
 * @typedef {object} Step
 * @property {string} name
 * @property {string} module below dist/
 * @property {string} of an exported function, or `Class.method`
 * @property {"before" | "after"} when after: once it has returned, or what it returned has resolved
 * @property {string} [only] counted only if the JSON of the arguments has this text
 * @property {readonly { module: string; from: string; to: string }[]} [edits] constants that are too slow for a test
 * @property {boolean} [inThreads] the module is one of the program's threads, not of its main one
 * @property {number} [last] no further than this: it never ends by itself
 */

/** Deadlines that renewals moved far are written every minute; here those that moved at all, soon after the load. */
const SOON = [
  { module: "adapters/clock/lease-clock", from: "60_000", to: "300" },
  { module: "controller/lease-book", from: "lifetimeMs / 4", to: "0" },
];
const CHECKPOINT_WITHIN_MS = 3000;
const CHECKPOINT = { only: "leases.checkpoint", edits: SOON, last: 1 };
const CHECKPOINTED = { only: "leases.renewed", edits: SOON, last: 1 };

/** From decide to reply, and the end of leases' deadlines. @type {readonly Step[]} */
const SERVING = [
  { name: "decided", module: "reducers/decide/index", of: "decide", when: "after" },
  { name: "appending", module: "events/leveldb/level-log", of: "LevelLog.append", when: "before" },
  { name: "stored, witness not told", module: "events/leveldb/witness", of: "Witness.write", when: "before" },
  { name: "appended", module: "events/leveldb/level-log", of: "LevelLog.append", when: "after" },
  { name: "deadlines known", module: "controller/lease-book", of: "LeaseBook.apply", when: "after" },
  { name: "published", module: "controller/controller", of: "Controller.submit", when: "after" },
  { name: "applying", module: "adapters/nftables/nftables", of: "Nftables.apply", when: "before" },
  { name: "applied", module: "adapters/nftables/nftables", of: "Nftables.apply", when: "after" },
  {
    name: "settled, not replied",
    module: "controller/settled-submission",
    of: "SettledSubmission.submit",
    when: "after",
  },
  { name: "snapshot begins", module: "controller/snapshot-keeper", of: "SnapshotKeeper.create", when: "before" },
  { name: "snapshot written", module: "events/snapshot-store", of: "SnapshotFiles.write", when: "after" },
  { name: "snapshots thinned", module: "events/snapshot-store", of: "SnapshotFiles.remove", when: "after" },
  { name: "file opened", module: "events/durable-file", of: "FileHandle.write", when: "before" },
  { name: "file written", module: "events/durable-file", of: "FileHandle.write", when: "after" },
  { name: "file synced", module: "events/durable-file", of: "FileHandle.sync", when: "after" },
  { name: "checkpoint due", module: "controller/controller", of: "Controller.submit", when: "before", ...CHECKPOINT },
  {
    name: "checkpoint appending",
    module: "events/leveldb/level-log",
    of: "LevelLog.append",
    when: "before",
    ...CHECKPOINTED,
  },
  {
    name: "checkpoint appended",
    module: "events/leveldb/level-log",
    of: "LevelLog.append",
    when: "after",
    ...CHECKPOINTED,
  },
];

/** What a start does, in order. @type {readonly Step[]} */
const STARTING = [
  { name: "log scanned", module: "events/leveldb/log-open", of: "openScanned", when: "before" },
  { name: "log opened", module: "events/leveldb/log-open", of: "openScanned", when: "after" },
  { name: "log checked", module: "events/leveldb/log-open", of: "openAndCheck", when: "after" },
  { name: "evidence set aside", module: "events/leveldb/evidence", of: "setAside", when: "after" },
  { name: "state folded", module: "daemon/store", of: "openStore", when: "after" },
  { name: "kernel reached", module: "adapters/nftables/nftables", of: "openNftables", when: "after" },
  { name: "start being decided", module: "reducers/decide/index", of: "decide", when: "after" },
  { name: "start being appended", module: "events/leveldb/level-log", of: "LevelLog.append", when: "before" },
  { name: "start appended", module: "events/leveldb/level-log", of: "LevelLog.append", when: "after" },
  { name: "interfaces read", module: "adapters/kernel/link-observer", of: "LinkObserver.start", when: "after" },
  { name: "first pass", module: "adapters/nftables/nftables", of: "Nftables.apply", when: "before" },
  { name: "first pass done", module: "adapters/nftables/nftables", of: "Nftables.apply", when: "after" },
  { name: "port control served", module: "adapters/pcp-server/server", of: "PcpServer.serve", when: "after" },
  { name: "API opened", module: "api/listener", of: "openApi", when: "after" },
];

export const slug = (/** @type {string} */ name) => name.replace(/\W+/g, "-");

/** @param {Step} step @param {number} nth */
export const environment = (step, nth) => ({
  NODE_OPTIONS: `--import=${HOOK}`,
  PORTREEVE_TEST_FAILPOINT: JSON.stringify({ ...step, nth }),
});

/** @returns {import("./series.mjs").Series[]} */
export function namedSteps() {
  const images = /** @type {const} */ (["new", "stopped", "killed", "grown"]);
  const starting = images.flatMap((image) =>
    STARTING.map((step) => ({
      name: `step/${image}/boot/${slug(step.name)}`,
      image,
      faults: "F2",
      ...(step.last !== undefined && { last: step.last }),
      run: async (
        /** @type {import("./lane.mjs").Lane} */ lane,
        /** @type {import("./oracle.mjs").Library} */ library,
        /** @type {number} */ nth,
      ) => {
        const fired = !(await lane.start({ env: environment(step, nth) })).up;
        if (fired && lane.gateway.child?.signalCode !== "SIGKILL")
          throw new Error(lane.gateway.log.slice(-3).join("\n"));
        await lane.gateway.kill();
        return { fired, ...(await judge(lane, library)) };
      },
    })),
  );
  const serving = images.flatMap((image) =>
    SERVING.map((step) => ({
      name: `step/${image}/serve/${slug(step.name)}`,
      image,
      faults: "F2",
      ...(step.last !== undefined && { last: step.last }),
      run: async (
        /** @type {import("./lane.mjs").Lane} */ lane,
        /** @type {import("./oracle.mjs").Library} */ library,
        /** @type {number} */ nth,
      ) => {
        // The first ones fall into the start: STARTING has those, with names of their own.
        await mustStart(lane, { env: { ...environment(step, nth), PORTREEVE_TEST_FAILPOINT_ARMED: lane.armedFile } });
        lane.arm();
        const fired = (await diedUnderLoad(lane)) || (step.edits === SOON && (await lane.ends(CHECKPOINT_WITHIN_MS)));
        await lane.gateway.kill();
        return { fired, ...(await judge(lane, library)) };
      },
    })),
  );
  return [...starting, ...serving];
}
