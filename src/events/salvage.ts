import { readdir } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { PortreeveError } from "../lib/errors.ts";
import { Archive } from "./archive.ts";
import { EMPTY_HEAD } from "./chain.ts";
import { type DataDir, dataDirAt } from "./data-dir.ts";
import { isMissing } from "./durable-file.ts";
import type { Seq } from "./envelope.ts";
import { baseOf, type Genesis, newGenesis, parseGenesis } from "./genesis.ts";
import { eventKey, GENESIS_KEY, seqOfKey } from "./keys.ts";
import { refuseIfLocked } from "./lock.ts";
import type { LogHead } from "./log.ts";
import { LogFault } from "./log-fault.ts";
import { readRawEntries } from "./raw-entries.ts";
import { decodeStored, hashOf, parseStored } from "./record.ts";
import { buildSalvaged, type Lost, type Whole } from "./salvage-build.ts";
import type { SnapshotHeader } from "./snapshot.ts";
import { openSnapshots } from "./snapshot-store.ts";
import { readWitness, type WitnessMark } from "./witness.ts";

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
  const entries = await readRawEntries([dir.log, ...(await evidenceOf(dir))]);
  const genesis = genesisIn(entries);
  const snapshots = (await openSnapshots(dataDir).list()).filter(
    ({ reducerVersion }) => reducerVersion <= options.foldVersion,
  );
  const starts = await startsOf(dir, entries, genesis, snapshots);
  const whole =
    options.restore === undefined ? furthest(entries, starts, mark) : restored(starts, snapshots, options.restore);
  if (whole === null) {
    const which = typeof options.restore === "number" ? ` of record ${options.restore}` : "";
    const what =
      options.restore === undefined ? "neither a first record nor a good snapshot" : `no good snapshot${which}`;
    throw new PortreeveError("NOT_FOUND", `there is ${what} in ${dataDir} that a log could begin with`, "refused");
  }
  // What had been refused to its caller was never a promise, even where its bytes are still there.
  const written = mark?.refusedAbove === true ? 0 : lastSeqIn(entries);
  const known = Math.max(mark?.seq ?? 0, ...snapshots.map(({ seq }) => seq), written);
  const lost =
    whole.head.seq < known
      ? { first: whole.head.seq + 1, last: known }
      : mark === null || copied
        ? { first: whole.head.seq + 1, last: null }
        : null;
  const began = genesis === null ? 0 : baseOf(genesis).seq;
  const target = freshBeside(dataDir);
  const leftBehind = whole.start.seq > began ? { first: began + 1, last: whole.start.seq } : null;
  const made = genesis ?? newGenesis(instanceIdIn(entries) ?? instanceId ?? undefined);
  const report = { dataDir, target, after: whole.start.seq, head: whole.head.seq, lost, leftBehind };
  return { ...report, carryOut: () => buildSalvaged(dir, target, made, whole, lost) };
}

/** Copies of write-ahead logs made before recoveries: they may hold what a recovery has dropped. */
async function evidenceOf({ evidence }: DataDir): Promise<string[]> {
  const names = await readdir(evidence).catch((cause: unknown): string[] => {
    if (isMissing(cause)) return [];
    throw cause;
  });
  return names.filter((name) => /^\d+$/.test(name)).map((name) => join(evidence, name));
}

type Entries = ReadonlyMap<string, string>;

function genesisIn(entries: Entries): Genesis | null {
  const value = entries.get(GENESIS_KEY);
  try {
    return value === undefined ? null : parseGenesis(value);
  } catch (cause) {
    if (cause instanceof LogFault && cause.code === "LOG_CORRUPT") return null;
    throw cause;
  }
}

function lastSeqIn(entries: Entries): Seq {
  let last = 0;
  for (const key of entries.keys()) if (key.startsWith("e!")) last = Math.max(last, seqOfKey(key));
  return last;
}

/** The identity of the log, as any start of it has recorded it. */
function instanceIdIn(entries: Entries): string | undefined {
  for (const [key, text] of entries) {
    if (!key.startsWith("e!") || !text.includes('"controller.started"')) continue;
    const { type, data } = parseStored(seqOfKey(key), text);
    if (type === "controller.started") return (data as { instanceId: string }).instanceId;
  }
  return undefined;
}

interface Start extends LogHead {
  readonly snapshot: SnapshotHeader | null;
}

/** Every point at which a state is known: the beginning, if nothing is missing before it, and each good snapshot. */
async function startsOf(
  dir: DataDir,
  entries: Entries,
  genesis: Genesis | null,
  snapshots: readonly SnapshotHeader[],
): Promise<Start[]> {
  const starts = snapshots.map((snapshot): Start => ({ seq: snapshot.seq, hash: snapshot.chainHash, snapshot }));
  const base = genesis === null ? EMPTY_HEAD : baseOf(genesis);
  const began = base.seq > 0 || entries.has(eventKey(1));
  if (began && (await new Archive(dir.archive).readableAfter(base.seq)) === 0) starts.push({ ...base, snapshot: null });
  return starts;
}

function furthest(entries: Entries, starts: readonly Start[], mark: WitnessMark | null): Whole | null {
  let best: Whole | null = null;
  for (const start of starts) {
    const whole = follow(entries, start, mark);
    const further = best === null || whole.head.seq > best.head.seq;
    // Of two that lead as far the earlier one: it keeps more of the past.
    if (further || (whole.head.seq === best?.head.seq && start.seq < best.start.seq)) best = whole;
  }
  return best;
}

function follow(entries: Entries, start: Start, mark: WitnessMark | null): Whole {
  const texts: string[] = [];
  let { seq, hash } = start;
  const last = mark?.refusedAbove === true ? mark.seq : Number.MAX_SAFE_INTEGER;
  while (seq < last) {
    const text = entries.get(eventKey(seq + 1));
    if (text === undefined || !fits(text, seq + 1, hash)) break;
    const itsHash = hashOf(text);
    if (mark !== null && mark.seq === seq + 1 && mark.hash !== itsHash) break;
    texts.push(text);
    seq += 1;
    hash = itsHash;
  }
  return { start: { seq: start.seq, hash: start.hash }, snapshot: start.snapshot, texts, head: { seq, hash } };
}

/** A record of a newer version is no damage: it ends the salvage. */
function fits(text: string, seq: Seq, prevHash: string): boolean {
  try {
    const stored = parseStored(seq, text);
    decodeStored(stored, "");
    return stored.prevHash === prevHash;
  } catch (cause) {
    if (cause instanceof LogFault && cause.code === "LOG_CORRUPT") return false;
    throw cause;
  }
}

function restored(starts: readonly Start[], snapshots: readonly SnapshotHeader[], which: Seq | "newest"): Whole | null {
  const snapshot = which === "newest" ? snapshots[0] : snapshots.find(({ seq }) => seq === which);
  const start = starts.find((each) => each.snapshot === snapshot);
  if (snapshot === undefined || start === undefined) return null;
  const head = { seq: start.seq, hash: start.hash };
  return { start: head, snapshot, texts: [], head };
}

function freshBeside(dataDir: string): string {
  const root = dataDir.replace(/\/+$/, "");
  for (let number = 1; ; number += 1) {
    const target = `${root}.salvaged-${number}`;
    if (!existsSync(target)) return target;
  }
}
