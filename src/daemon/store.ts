import { join } from "node:path";
import { existsSync } from "node:fs";
import { endsWithEpochReset } from "../events/epoch-reset.ts";
import type { EventLog } from "../events/log.ts";
import { copyForReading } from "../events/leveldb/log-copy.ts";
import { LogFault } from "../events/log-fault.ts";
import { openLevelLog } from "../events/leveldb/level-log.ts";
import { refuseIfBehind, refuseIfCopied } from "../events/leveldb/restored.ts";
import { openSnapshots } from "../events/snapshot-store.ts";
import type { SnapshotStore } from "../events/snapshot.ts";
import { PortreeveError } from "../lib/errors.ts";
import { salvageState, stateAt } from "../controller/history.ts";
import { initialState, type State } from "../reducers/state.ts";

/** What a start finds: a log that can be written, or why it cannot and what is still known. */
export type Store =
  | {
      readonly ok: true;
      readonly log: EventLog;
      readonly snapshots: SnapshotStore;
      readonly state: State;
      /** Promises were given up while nobody was served, and no client was told anything since. */
      readonly epochsRestarted: boolean;
    }
  | { readonly ok: false; readonly fault: LogFault; readonly snapshots: SnapshotStore; readonly state: State };

export type OpenStore = Extract<Store, { ok: true }>;
export type Notify = (fields: object, message: string) => void;

/** Opens the log and folds it. Damage and newer versions are a value: safe mode goes on with what could be folded. */
export async function openStore(dataDir: string, notify: Notify): Promise<Store> {
  const snapshots = openSnapshots(dataDir, (fault) => notify(fault, "snapshot not used"));
  let log: EventLog | null = null;
  try {
    await refuseIfCopied(dataDir);
    log = await openLevelLog(dataDir, { notice: (notice) => notify(notice, "event log") });
    await refuseIfBehind(log, snapshots);
    const state = await stateAt(log, snapshots, log.head.seq);
    return { ok: true, log, snapshots, state, epochsRestarted: await endsWithEpochReset(log) };
  } catch (cause) {
    await log?.close();
    if (!(cause instanceof LogFault)) throw cause;
    return { ok: false, fault: cause, snapshots, state: await salvage(dataDir, snapshots) };
  }
}

/** The state as far as the log is whole; the initial one if it cannot be read at all. */
async function salvage(dataDir: string, snapshots: SnapshotStore): Promise<State> {
  if (!existsSync(join(dataDir, "log"))) return initialState();
  try {
    const copy = await copyForReading(dataDir);
    try {
      return (await salvageState(copy, snapshots)).state;
    } finally {
      await copy.close();
    }
  } catch (cause) {
    if (cause instanceof PortreeveError) return initialState();
    throw cause;
  }
}
