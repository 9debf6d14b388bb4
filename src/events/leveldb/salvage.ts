import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { PortreeveError } from "../../lib/errors.ts";
import { type DataDir, dataDirAt } from "../data-dir.ts";
import { isMissing } from "../durable-file.ts";
import type { Seq } from "../envelope.ts";
import { EMPTY_HEAD } from "../log.ts";
import { LogFault } from "../log-fault.ts";
import type { SnapshotHeader } from "../snapshot.ts";
import { openSnapshots } from "../snapshot-store.ts";
import { Archive } from "./archive.ts";
import { RawEntries } from "./files/raw-entries.ts";
import { baseOf, type Genesis, newGenesis, parseGenesis } from "./genesis.ts";
import { eventKey, GENESIS_KEY } from "./keys.ts";
import { refuseIfLocked } from "./lock.ts";
import { buildSalvaged, type Lost } from "./salvage-build.ts";
import { followTrails, type Start, type Trail } from "./salvage-trail.ts";
import { readWitness } from "./witness.ts";

/** Records `first` to `last`, both included. */
export interface SeqRange {
  readonly first: Seq;
  readonly last: Seq;
}

export interface SalvageReport {
  readonly dataDir: string;
  /** Where the new log is made. */
  readonly target: string;
  /** The new log begins after this record: 0, where the old one began, or at a snapshot. */
  readonly after: Seq;
  /** Its last record that was in the old one. */
  readonly head: Seq;
  readonly lost: Lost | null;
  /** Their effect is in the snapshot that the new log begins with, they themselves stay in the old directory. */
  readonly leftBehind: SeqRange | null;
}

export interface Salvage extends SalvageReport {
  /** Makes the new directory; the old one is only read. */
  readonly carryOut: () => Promise<void>;
}

export interface SalvageOptions {
  /** The newest fold version whose snapshots can be read. */
  readonly foldVersion: number;
  /** Begin with the state of this snapshot and give up what came after it. */
  readonly restore?: Seq | "newest";
}

/**
 * What can be made of a damaged data directory that nobody has open. LevelDB is not asked: its files are read as they
 * are, and of all the records in them those that follow each other from the beginning, or from the snapshot that leads
 * furthest. Rejects with LOG_LOCKED, and with NOT_FOUND if there is nothing to begin with.
 */
export async function planSalvage(dataDir: string, options: SalvageOptions): Promise<Salvage> {
  const dir = dataDirAt(dataDir);
  refuseIfLocked(dir.lock);
  const { mark, copied, instanceId } = await readWitness(dir.witness);
  const entries = await RawEntries.in([dir.log, ...(await evidenceOf(dir))]);
  const genesis = genesisIn(entries);
  const snapshots = await openSnapshots(dataDir).list();
  const readable = snapshots.filter(({ reducerVersion }) => reducerVersion <= options.foldVersion);
  const starts = await startsOf(dir, entries, genesis, readable);
  const { restore } = options;
  const chosen = restore === undefined ? starts : starts.filter(({ snapshot }) => isNamed(snapshot, readable, restore));
  const until = restore !== undefined ? 0 : mark?.refusedAbove === true ? mark.seq : Number.POSITIVE_INFINITY;
  const found = followTrails({ entries, starts: chosen, snapshots, mark, until });
  const trail = furthest(found.trails);
  if (trail === null) {
    const which = typeof restore === "number" ? ` of record ${restore}` : "";
    const what = restore === undefined ? "neither a first record nor a good snapshot" : `no good snapshot${which}`;
    throw new PortreeveError("NOT_FOUND", `there is ${what} in ${dataDir} that a log could begin with`, "refused");
  }
  const { start, head } = trail;
  // What had been refused to its caller was never a promise, even where its bytes are still there.
  const written = mark?.refusedAbove === true ? 0 : found.lastSeq;
  const known = Math.max(mark?.seq ?? 0, ...readable.map(({ seq }) => seq), written);
  const endKnown = mark !== null && !copied;
  const lost =
    head.seq < known ? { first: head.seq + 1, last: known } : endKnown ? null : { first: head.seq + 1, last: null };
  const began = genesis === null ? 0 : baseOf(genesis).seq;
  const target = freshBeside(dataDir);
  const leftBehind = start.seq > began ? { first: began + 1, last: start.seq } : null;
  const made = genesis ?? newGenesis(found.instanceId ?? instanceId ?? undefined);
  const report = { dataDir, target, after: start.seq, head: head.seq, lost, leftBehind };
  return { ...report, carryOut: () => buildSalvaged({ source: dir, target, genesis: made, entries, trail, lost }) };
}

/** Copies of write-ahead logs made before recoveries: they may hold what a recovery has dropped. */
async function evidenceOf({ evidence }: DataDir): Promise<string[]> {
  const names = await readdir(evidence).catch((cause: unknown): string[] => {
    if (isMissing(cause)) return [];
    throw cause;
  });
  return names.filter((name) => /^\d+$/.test(name)).map((name) => join(evidence, name));
}

function genesisIn(entries: RawEntries): Genesis | null {
  const value = entries.get(GENESIS_KEY);
  try {
    return value === undefined ? null : parseGenesis(value);
  } catch (cause) {
    if (cause instanceof LogFault && cause.code === "LOG_CORRUPT") return null;
    throw cause;
  }
}

/** Every point at which a state is known: the beginning, if nothing is missing before it, and each good snapshot. */
async function startsOf(
  dir: DataDir,
  entries: RawEntries,
  genesis: Genesis | null,
  snapshots: readonly SnapshotHeader[],
): Promise<Start[]> {
  const starts = snapshots.map((snapshot): Start => ({ seq: snapshot.seq, hash: snapshot.chainHash, snapshot }));
  const base = genesis === null ? EMPTY_HEAD : baseOf(genesis);
  const began = base.seq > 0 || entries.get(eventKey(1)) !== undefined;
  if (began && (await new Archive(dir.archive).readableAfter(base.seq)) === 0) starts.push({ ...base, snapshot: null });
  return starts;
}

/** Of two that lead as far the one that starts earlier: it keeps more of the past. */
function furthest(trails: readonly Trail[]): Trail | null {
  let best: Trail | null = null;
  for (const trail of trails) {
    const [ahead, earlier] = [trail.head.seq - (best?.head.seq ?? -1), trail.start.seq < (best?.start.seq ?? 0)];
    if (ahead > 0 || (ahead === 0 && earlier)) best = trail;
  }
  return best;
}

function isNamed(
  snapshot: SnapshotHeader | null,
  readable: readonly SnapshotHeader[],
  restore: Seq | "newest",
): boolean {
  return snapshot !== null && (restore === "newest" ? snapshot === readable[0] : snapshot.seq === restore);
}

function freshBeside(dataDir: string): string {
  const root = dataDir.replace(/\/+$/, "");
  for (let number = 1; ; number += 1) {
    const target = `${root}.salvaged-${number}`;
    if (!existsSync(target)) return target;
  }
}
