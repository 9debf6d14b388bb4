import { existsSync } from "node:fs";
import { rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AssertionError } from "../../lib/assert.ts";
import { PortreeveError } from "../../lib/errors.ts";
import { type DataDir, dataDirAt } from "../data-dir.ts";
import { makePrivateDirectory, removeDurably, removeUnfinished, syncDirectory, writeDurably } from "../durable-file.ts";
import type { Seq } from "../envelope.ts";
import { EMPTY_HEAD, type LogHead } from "../log.ts";
import { corrupt, LogFault, tailLost, writeFailed } from "../log-fault.ts";
import { AnswerIndex } from "./answers.ts";
import { findHead, hashAt, readChain } from "./chain.ts";
import { droppedByLevelDb, setAside } from "./evidence.ts";
import { bytesToScan, scanTables } from "./files/table-scan.ts";
import { scanWal, walFiles } from "./files/wal-scan.ts";
import { baseOf, type Genesis, readGenesis } from "./genesis.ts";
import { EVENT_KEY_MAX, eventKey } from "./keys.ts";
import { LockGuard, refuseIfLocked } from "./lock.ts";
import { beginLog, logExists } from "./log-begin.ts";
import type { OpenStorage, Storage, StorageOp } from "./storage.ts";
import { readWitness, Witness, type WitnessMark, type WitnessReading } from "./witness.ts";

/** Something an operator may want to read, that stops nothing. */
export interface LogNotice {
  readonly message: string;
  readonly seq: Seq;
}

export interface OpenOptions {
  /** Check the whole chain before trusting it; else the open reads only what it must. */
  readonly verify: boolean;
  /** An operator has confirmed that the log goes on from where it ends, whatever the witness knows to have come after. */
  readonly accept: boolean;
  readonly openStorage: OpenStorage;
  readonly notice: (notice: LogNotice) => void;
}

export interface Opened {
  readonly genesis: Genesis;
  readonly head: LogHead;
  readonly answers: AnswerIndex;
  readonly witness: Witness;
  readonly storage: Storage;
  readonly guard: LockGuard;
}

/** Opens the log, or makes a new one, and trusts nothing that its witness and its chain do not vouch for. */
export async function openAndCheck(root: string, options: OpenOptions): Promise<Opened> {
  const dir = dataDirAt(root);
  try {
    await makePrivateDirectory(dir.root);
    refuseIfLocked(dir.lock);
    const { openStorage } = options;
    const reading = await readWitness(dir.witness);
    const suspected = existsSync(dir.suspect);
    if (!(await logExists(dir, reading))) await beginLog(dir, reading, openStorage);
    // While a fault is open its evidence is the last that is kept: a restart loop must not push it out.
    else if (!existsSync(dir.clean) && !suspected) await setAside(dir.log, dir.evidence);
    const scanBytes = await bytesToScan(dir, suspected);
    const checked = { ...options, verify: options.verify || options.accept || suspected };
    return await lookTwice(async () => openAs(dir, reading, await openScanned(dir, openStorage, scanBytes), checked));
  } catch (cause) {
    const error = await asLogError(cause, dir);
    if (error instanceof LogFault) await suspectLog(root, error);
    throw error;
  }
}

/** Makes the next open check the whole chain, unless the disk does not even take that. */
export async function suspectLog(root: string, fault: LogFault): Promise<void> {
  await writeFile(dataDirAt(root).suspect, `${fault.message}\n`, { mode: 0o600 }).catch(() => {});
}

/**
 * A disk that refuses one call looks through LevelDB like a damaged file, or like a file of the log that ends too early;
 * damage is still there at a second look. What LevelDB has dropped is not: it drops it once.
 */
async function lookTwice(open: () => Promise<Opened>): Promise<Opened> {
  try {
    return await open();
  } catch (cause) {
    const endsEarly = cause instanceof LogFault && cause.remedy === "accept";
    if (endsEarly || !isOurs(cause)) return await open();
    throw cause;
  }
}

async function openAs(
  dir: DataDir,
  reading: WitnessReading,
  { storage, guard }: Pick<Opened, "storage" | "guard">,
  options: OpenOptions,
): Promise<Opened> {
  let witness: Witness | null = null;
  try {
    const checked = await check(storage, reading, options);
    witness = await Witness.open(dir.witness, reading, checked.genesis.instanceId);
    await witness.write({ ...checked.head, refusedAbove: false });
    await witness.sync();
    for (const place of [dir.root, dir.snapshots, dir.archive, dir.secrets]) await removeUnfinished(place);
    await rm(dir.suspect, { force: true });
    await removeDurably(dir.clean);
    return { ...checked, witness, storage, guard };
  } catch (cause) {
    await witness?.close().catch(() => {});
    await storage.close().catch(() => {});
    throw cause;
  }
}

/** What the file system refused says so; whatever else goes wrong while a log is opened is the log's damage. */
async function asLogError(cause: unknown, dir: DataDir): Promise<Error> {
  if (isOurs(cause)) return cause;
  const momentary = diskRefusal(cause);
  if (momentary !== null) return writeFailed(`the data directory cannot be used: ${momentary}`, cause);
  // LevelDB may report a full disk as it reports a damaged file; the file system itself knows the difference.
  const refusal = isSystemError(cause) ? cause : await writeProbe(dir);
  if (refusal === null) return corrupt(0, "LevelDB cannot open the event log", cause);
  const { code, message } = refusal;
  if (code === "EACCES" || code === "EPERM") return new PortreeveError("PERMISSION", message, "fatal", { cause });
  return writeFailed(`the data directory cannot be used: ${message}`, cause);
}

/** Said by code of ours, which knew what it saw; not by LevelDB or the file system. */
const isOurs = (cause: unknown): cause is PortreeveError | AssertionError =>
  cause instanceof PortreeveError || cause instanceof AssertionError;

const isSystemError = (cause: unknown): cause is NodeJS.ErrnoException =>
  (cause as NodeJS.ErrnoException | null)?.syscall !== undefined;

/** What strerror(3) says of a disk that refuses. It may be well again by the time we look; LevelDB passes on these words only. */
const DISK_REFUSES =
  /IO error: .*(No space left on device|Input\/output error|Read-only file system|Disk quota exceeded|Too many open files)$/;

function diskRefusal(cause: unknown): string | null {
  const inner = (cause as { cause?: { message?: unknown } } | null)?.cause?.message;
  return typeof inner === "string" && DISK_REFUSES.test(inner) ? inner : null;
}

/** Why the file system does not take what LevelDB's recovery may need; null if it does. */
async function writeProbe({ root, log }: DataDir): Promise<NodeJS.ErrnoException | null> {
  const probe = join(root, `probe-${process.pid}`);
  try {
    const sizes = (await walFiles(log)).map(async (name) => (await stat(join(log, name))).size);
    const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, PROBE_BYTES);
    await writeDurably(probe, Buffer.alloc(bytes));
    return null;
  } catch (cause) {
    return cause as NodeJS.ErrnoException;
  } finally {
    await rm(probe, { force: true });
  }
}

/** For a new MANIFEST and write-ahead log, beside the table that the old one becomes. */
const PROBE_BYTES = 256 * 1024;

/** Opens the store if LevelDB is going to drop nothing but a torn tail and, as far as it is looked at, to crash on nothing. */
export async function openScanned(
  dir: DataDir,
  openStorage: OpenStorage,
  tableBytesMax: number,
): Promise<{ readonly storage: Storage; readonly guard: LockGuard }> {
  const { torn } = await scanWal(dir.log);
  await scanTables(dir.log, tableBytesMax);
  const storage = await openStorage(dir.log);
  const dropped = await droppedByLevelDb(dir.log);
  // A torn tail makes LevelDB complain too; the scan has seen it, and the witness says whether it mattered.
  if (dropped !== null && !torn) {
    await storage.close();
    throw corrupt(0, `LevelDB dropped part of the event log: ${dropped}`);
  }
  return { storage, guard: new LockGuard(dir.lock) };
}

async function check(
  storage: Storage,
  reading: WitnessReading,
  options: OpenOptions,
): Promise<Pick<Opened, "genesis" | "head" | "answers">> {
  const { verify, notice } = options;
  const genesis = await readGenesis(storage);
  if (genesis === undefined) throw corrupt(1, "the log's own description is missing");
  const base = baseOf(genesis);
  const found = await findHead(storage, base);
  const mark = options.accept ? { ...found, refusedAbove: false } : expectedMark(reading, found);
  await compareWithMark(storage, base, found, mark);
  const answers = await AnswerIndex.load(storage);
  if (found.seq > mark.seq && mark.refusedAbove) {
    await dropAbove(storage, mark, found, answers.opsToDropAfter(mark.seq, []));
    notice({ message: "records that had been refused to their callers are removed", seq: mark.seq });
    if (verify) await verifyRange(storage, base, base.seq, mark);
    return { genesis, head: mark, answers: await AnswerIndex.load(storage) };
  }
  // What lies above the mark was on its way when we died: whole or not there, and nobody was told either way.
  await verifyRange(storage, base, verify ? base.seq : mark.seq, found);
  if (found.seq > mark.seq) notice({ message: "unacknowledged records are adopted", seq: found.seq });
  return { genesis, head: found, answers };
}

/** What the witness vouches for. Throws if it vouches for nothing, although there are records. */
export function expectedMark({ status, mark }: WitnessReading, head: LogHead): WitnessMark {
  if (mark !== null) return mark;
  // The witness is on the disk, and written, before the first record is acknowledged: without a mark there was none.
  if ((status === "absent" || status === "blank") && head.seq === 0) return { ...EMPTY_HEAD, refusedAbove: false };
  const what = status === "absent" ? "missing" : status === "blank" ? "empty" : "damaged";
  throw tailLost(head.seq + 1, `the head witness is ${what}: nothing can tell whether the log's tail is lost`);
}

/** The log reaches at least to what was acknowledged, and it is this log that was. */
export async function compareWithMark(storage: Storage, base: LogHead, head: LogHead, mark: LogHead): Promise<void> {
  if (head.seq < mark.seq) {
    const lost = head.seq + 1 === mark.seq ? `record ${mark.seq} was` : `records ${head.seq + 1} to ${mark.seq} were`;
    const message = `the log ends at record ${head.seq}, but ${lost} acknowledged: its tail is lost, or it is an old copy`;
    throw tailLost(head.seq + 1, message);
  }
  // The witness is synced at most once a second: after a power loss the log may begin after what it knows of.
  if (mark.seq < base.seq) return;
  const hash = head.seq === mark.seq ? head.hash : await hashAt(storage, mark.seq, base);
  if (hash !== mark.hash) throw corrupt(mark.seq, `record ${mark.seq} is not the one that was acknowledged`);
}

/** Takes out, durably, every record after `keep` and whatever `ops` name. */
export async function dropAbove(
  storage: Storage,
  keep: LogHead,
  head: LogHead,
  ops: readonly StorageOp[],
): Promise<void> {
  const surplus = await storage.range(eventKey(keep.seq + 1), EVENT_KEY_MAX, { limit: head.seq - keep.seq });
  const deletions = surplus.map(([key]): StorageOp => ({ type: "del", key }));
  if (deletions.length + ops.length > 0) await storage.write([...deletions, ...ops]);
}

async function verifyRange(storage: Storage, base: LogHead, after: Seq, head: LogHead): Promise<void> {
  const records = readChain(async () => storage, { after: Math.max(after, base.seq), to: head.seq, base, head });
  while (!(await records.next()).done);
}

/** The mark of an orderly end: the next open has nothing to doubt. */
export async function markClean(dir: DataDir): Promise<void> {
  await writeFile(dir.clean, "", { mode: 0o600 });
  await rm(dir.unchecked, { force: true });
  await syncDirectory(dir.root);
}
