import { existsSync } from "node:fs";
import { copyFile, rename } from "node:fs/promises";
import { basename, join } from "node:path";
import { PortreeveError } from "../../lib/errors.ts";
import { dataDirAt } from "../data-dir.ts";
import { isMissing, makePrivateDirectory, removeDurably, syncDirectory, writeDurably } from "../durable-file.ts";
import type { Seq } from "../envelope.ts";
import { appendEpochReset } from "../epoch-reset.ts";
import type { EventLog } from "../log.ts";
import { LogFault } from "../log-fault.ts";
import type { SnapshotStore } from "../snapshot.ts";
import { openSnapshots, snapshotFile } from "../snapshot-store.ts";
import { openLevelLog } from "./level-log.ts";
import { refuseIfLocked } from "./lock.ts";
import { readWitness } from "./witness.ts";

/**
 * Throws LOG_RESTORED if the witness is not the file it was written as: the directory was copied, and whatever the
 * original promised after that is not in it. Also if a confirmation that it goes on all the same was broken off.
 */
export async function refuseIfCopied(dataDir: string): Promise<void> {
  const { witness, accepting } = dataDirAt(dataDir);
  const { mark, copied } = await readWitness(witness);
  if (existsSync(accepting)) {
    const message = "`portreeve events accept` was broken off: clients were not told that promises are lost";
    throw new LogFault("LOG_RESTORED", (mark?.seq ?? 0) + 1, message);
  }
  if (!copied || mark === null || mark.seq === 0) return;
  const message = `${dataDir} is a restored copy: what was promised after record ${mark.seq} is not in it`;
  throw new LogFault("LOG_RESTORED", mark.seq + 1, message);
}

/** Throws LOG_RESTORED if a snapshot is of a later record than the log has. */
export async function refuseIfBehind(log: Pick<EventLog, "head">, snapshots: SnapshotStore): Promise<void> {
  const newest = (await snapshots.list())[0]?.seq ?? 0;
  const { seq } = log.head;
  if (newest <= seq) return;
  const message = `the event log ends at record ${seq}, but there is a snapshot of record ${newest}: it is an old copy`;
  throw new LogFault("LOG_RESTORED", seq + 1, message);
}

export interface Acceptance {
  readonly dataDir: string;
  /** The last record that was there. */
  readonly head: Seq;
  /** The last record that is known to have been; null if nothing knows of one after `head`. */
  readonly known: Seq | null;
  /** The record that tells clients to ask again. */
  readonly reset: Seq;
}

/**
 * An operator confirms that the log goes on from where it ends, although more was acknowledged or may have been. The
 * whole chain is checked first; what knows of a later head is kept as evidence; clients' epochs restart.
 */
export async function acceptLog(dataDir: string): Promise<Acceptance> {
  const dir = dataDirAt(dataDir);
  refuseIfLocked(dir.lock);
  const { mark } = await readWitness(dir.witness);
  await makePrivateDirectory(dir.evidence);
  await copyFile(dir.witness, join(dir.evidence, `witness-${mark?.seq ?? "damaged"}`)).catch((cause: unknown) => {
    if (!isMissing(cause)) throw cause;
  });
  await writeDurably(dir.accepting, "");
  const log = await openLevelLog(dataDir, { accept: true }).catch(async (cause: unknown) => {
    // Found before the witness was changed.
    if (cause instanceof LogFault) await removeDurably(dir.accepting);
    throw cause;
  });
  try {
    const { seq: head } = log.head;
    if (head === 0) {
      // It begins anew, and with it every epoch.
      await removeDurably(dir.accepting);
      throw new PortreeveError("NOT_FOUND", `the log in ${dataDir} has no record to go on from`, "refused");
    }
    const snapshots = await openSnapshots(dataDir).list();
    for (const { seq } of snapshots.filter((snapshot) => snapshot.seq > head)) {
      const file = snapshotFile(dir.snapshots, seq);
      await rename(file, join(dir.evidence, basename(file)));
    }
    await syncDirectory(dir.evidence);
    const newest = Math.max(mark?.seq ?? 0, snapshots[0]?.seq ?? 0);
    const known = newest > head ? newest : null;
    const lost = known === null ? "whatever came after it is" : `records ${head + 1} to ${known} are`;
    const reason = `an operator confirmed that the log goes on after record ${head}; ${lost} lost`;
    const reset = await appendEpochReset(log, reason, await lastAt(log));
    await removeDurably(dir.accepting);
    return { dataDir, head, known, reset };
  } finally {
    await log.close();
  }
}

async function lastAt(log: EventLog): Promise<number> {
  const { seq } = log.head;
  // A log that begins at its head has no record of its own; the clock is not before the snapshot it begins with.
  if (seq === log.base.seq) return 0;
  for await (const { at } of log.read(seq - 1)) return at;
  return 0;
}
