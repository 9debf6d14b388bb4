import { copyFile, mkdir, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type DataDir, dataDirAt } from "../data-dir.ts";
import { isMissing, makePrivateDirectory, syncDirectory, syncFile } from "../durable-file.ts";
import type { Seq } from "../envelope.ts";
import { appendEpochReset } from "../epoch-reset.ts";
import { snapshotFile } from "../snapshot-store.ts";
import type { RawEntries } from "./files/raw-entries.ts";
import { baseOf, type Genesis, genesisOp, newGenesis, withBase } from "./genesis.ts";
import { eventKey } from "./keys.ts";
import { openLevelLog } from "./level-log.ts";
import type { Trail } from "./salvage-trail.ts";
import { openLevelStorage, type StorageOp } from "./storage.ts";
import { readWitness, Witness } from "./witness.ts";

/** Records whose promises are lost, as far as anything knows; `last` is null if nothing knows the end. */
export interface Lost {
  readonly first: Seq;
  readonly last: Seq | null;
}

const BATCH = 1000;

export interface Salvageable {
  readonly source: DataDir;
  readonly target: string;
  readonly genesis: Genesis;
  readonly entries: RawEntries;
  readonly trail: Trail;
  readonly lost: Lost | null;
}

/** A whole data directory with what `trail` leads over as its log; under its name only once it is complete. */
export async function buildSalvaged({ source, target, genesis, entries, trail, lost }: Salvageable): Promise<void> {
  const unfinished = `${target}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { mode: 0o700 });
  try {
    const dir = dataDirAt(unfinished);
    await makePrivateDirectory(dir.log);
    await writeLog(dir, genesis, entries, trail);
    await copySnapshots(source, dir, trail);
    await copyFiles(source.secrets, dir.secrets);
    if (trail.start.seq === baseOf(genesis).seq) await copyFiles(source.archive, dir.archive);
    await copySynced(join(source.root, "api-token"), join(dir.root, "api-token")).catch(unlessMissing);
    await seal(dir, trail, lost);
    await syncDirectory(unfinished);
    await rename(unfinished, target);
    await syncDirectory(dirname(target));
  } catch (cause) {
    await rm(unfinished, { recursive: true, force: true });
    throw cause;
  }
}

async function writeLog(dir: DataDir, genesis: Genesis, entries: RawEntries, { start, head }: Trail): Promise<void> {
  const { instanceId, createdAt } = genesis;
  const storage = await openLevelStorage(dir.log);
  try {
    const { seq, hash } = start;
    await storage.write([genesisOp(withBase({ ...newGenesis(instanceId), createdAt }, { seq, hash }))]);
    let batch: StorageOp[] = [];
    for (const [key, value] of entries.between(eventKey(start.seq + 1), eventKey(head.seq))) {
      batch.push({ type: "put", key, value });
      if (batch.length < BATCH) continue;
      await storage.write(batch);
      batch = [];
    }
    if (batch.length > 0) await storage.write(batch);
  } finally {
    await storage.close();
  }
  const witness = await Witness.open(dir.witness, await readWitness(dir.witness), instanceId);
  await witness.write({ ...head, refusedAbove: false });
  await witness.close();
}

/** Those that are of this very log, and the one it begins with. */
async function copySnapshots(source: DataDir, dir: DataDir, { snapshots }: Trail): Promise<void> {
  for (const { seq } of snapshots) {
    await makePrivateDirectory(dir.snapshots);
    await copySynced(snapshotFile(source.snapshots, seq), snapshotFile(dir.snapshots, seq));
  }
  if (snapshots.length > 0) await syncDirectory(dir.snapshots);
}

async function copyFiles(from: string, to: string): Promise<void> {
  const names = await readdir(from, { withFileTypes: true }).catch(unlessMissing);
  if (names === undefined) return;
  await makePrivateDirectory(to);
  for (const name of names) if (name.isFile()) await copySynced(join(from, name.name), join(to, name.name));
  await syncDirectory(to);
}

async function copySynced(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  await syncFile(to);
}

/** Opens the new log as a start will, every record checked, and tells clients to ask again if promises are lost. */
async function seal(dir: DataDir, { head, at }: Trail, lost: Lost | null): Promise<void> {
  const log = await openLevelLog(dir.root, { verify: true });
  try {
    if (lost === null) return;
    const end = lost.last === null ? "whatever came after it is" : `records ${lost.first} to ${lost.last} are`;
    await appendEpochReset(log, `a salvaged log goes on after record ${head.seq}; ${end} lost`, at);
  } finally {
    await log.close();
  }
}

function unlessMissing(cause: unknown): undefined {
  if (!isMissing(cause)) throw cause;
}
