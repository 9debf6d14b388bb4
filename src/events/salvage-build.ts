import { copyFile, mkdir, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Seq } from "./envelope.ts";
import { type DataDir, dataDirAt } from "./data-dir.ts";
import { isMissing, makePrivateDirectory, syncDirectory } from "./durable-file.ts";
import { appendEpochReset } from "./epoch-reset.ts";
import { type Genesis, genesisOp, newGenesis, withBase } from "./genesis.ts";
import { eventKey } from "./keys.ts";
import { openLevelLog } from "./log-level.ts";
import { parseInstant } from "./instant.ts";
import { hashOf, parseStored } from "./record.ts";
import type { LogHead } from "./log.ts";
import type { SnapshotHeader } from "./snapshot.ts";
import { openSnapshots, snapshotFile } from "./snapshot-store.ts";
import { openLevelStorage } from "./storage.ts";
import { readWitness, Witness } from "./witness.ts";

/** A log that holds together from where a state is known. */
export interface Whole {
  readonly start: LogHead;
  /** What it begins with; null: with what the old one began with. */
  readonly snapshot: SnapshotHeader | null;
  readonly texts: readonly string[];
  readonly head: LogHead;
}

/** Records whose promises are lost, as far as anything knows; `last` is null if nothing knows the end. */
export interface Lost {
  readonly first: Seq;
  readonly last: Seq | null;
}

const BATCH = 1000;

/** A whole data directory with `whole` as its log; under its name only once it is complete. */
export async function buildSalvaged(
  source: DataDir,
  target: string,
  genesis: Genesis,
  whole: Whole,
  lost: Lost | null,
): Promise<void> {
  const unfinished = `${target}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { mode: 0o700 });
  try {
    const dir = dataDirAt(unfinished);
    await makePrivateDirectory(dir.log);
    await writeLog(dir, genesis, whole);
    await copySnapshots(source, dir, whole);
    await copyFiles(source.secrets, dir.secrets);
    if (whole.snapshot === null) await copyFiles(source.archive, dir.archive);
    await copyFile(join(source.root, "api-token"), join(dir.root, "api-token")).catch(unlessMissing);
    await seal(dir, whole, lost);
    await syncDirectory(unfinished);
    await rename(unfinished, target);
    await syncDirectory(dirname(target));
  } catch (cause) {
    await rm(unfinished, { recursive: true, force: true });
    throw cause;
  }
}

async function writeLog(dir: DataDir, genesis: Genesis, { start, texts, head }: Whole): Promise<void> {
  const { instanceId, createdAt } = genesis;
  const storage = await openLevelStorage(dir.log);
  try {
    await storage.write([genesisOp(withBase({ ...newGenesis(instanceId), createdAt }, start))]);
    for (let first = 0; first < texts.length; first += BATCH) {
      const page = texts.slice(first, first + BATCH);
      await storage.write(
        page.map((value, index) => ({ type: "put", key: eventKey(start.seq + first + index + 1), value })),
      );
    }
  } finally {
    await storage.close();
  }
  const witness = await Witness.open(dir.witness, await readWitness(dir.witness), instanceId);
  await witness.write({ ...head, refusedAbove: false });
  await witness.close();
}

/** Those that are of this very log, and the one it begins with. */
async function copySnapshots(source: DataDir, dir: DataDir, { start, texts }: Whole): Promise<void> {
  for (const { seq, chainHash } of await openSnapshots(source.root).list()) {
    const text = texts[seq - start.seq - 1];
    const own = seq === start.seq ? start.hash : text === undefined ? null : hashOf(text);
    if (own !== chainHash) continue;
    await makePrivateDirectory(dir.snapshots);
    await copyFile(snapshotFile(source.snapshots, seq), snapshotFile(dir.snapshots, seq));
  }
}

async function copyFiles(from: string, to: string): Promise<void> {
  const names = await readdir(from, { withFileTypes: true }).catch(unlessMissing);
  if (names === undefined) return;
  await makePrivateDirectory(to);
  for (const name of names) if (name.isFile()) await copyFile(join(from, name.name), join(to, name.name));
  await syncDirectory(to);
}

/** Opens the new log as a start will, every record checked, and tells clients to ask again if promises are lost. */
async function seal(dir: DataDir, { snapshot, texts, head }: Whole, lost: Lost | null): Promise<void> {
  const log = await openLevelLog(dir.root, { verify: true });
  try {
    if (lost === null) return;
    const last = texts.at(-1);
    const lastAt = last === undefined ? (snapshot?.at ?? 0) : (parseInstant(parseStored(head.seq, last).at) ?? 0);
    const end = lost.last === null ? "whatever came after it is" : `records ${lost.first} to ${lost.last} are`;
    await appendEpochReset(log, `a salvaged log goes on after record ${head.seq}; ${end} lost`, lastAt);
  } finally {
    await log.close();
  }
}

function unlessMissing(cause: unknown): undefined {
  if (!isMissing(cause)) throw cause;
}
