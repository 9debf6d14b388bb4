import { readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { DataDir } from "../data-dir.ts";
import { isMissing, makePrivateDirectory, syncDirectory, syncFile } from "../durable-file.ts";
import { corrupt } from "../log-fault.ts";
import { genesisOp, newGenesis } from "./genesis.ts";
import { refuseIfLocked } from "./lock.ts";
import type { OpenStorage } from "./storage.ts";
import type { WitnessReading } from "./witness.ts";

/** What LevelDB leaves in a directory before it has anything in it. */
const EMPTY_STORE = new Set(["LOG", "LOG.old", "LOCK"]);

/**
 * Whether there is a log, with or without damage. LevelDB takes a directory without CURRENT for a new one and deletes
 * what it finds there, so a log that was there and has lost it is refused, as is one that is gone altogether.
 */
export async function logExists({ log }: Pick<DataDir, "log">, { mark }: WitnessReading): Promise<boolean> {
  const files = await readdir(log).catch((cause: unknown): string[] => {
    if (isMissing(cause)) return [];
    throw cause;
  });
  if (files.includes("CURRENT")) return true;
  const acknowledged = mark !== null && mark.seq > 0;
  if (!acknowledged && files.every((name) => EMPTY_STORE.has(name))) return false;
  const what = files.length === 0 ? "is gone" : "has lost its CURRENT file";
  throw corrupt(1, `the event log ${what}: LevelDB would begin an empty one in its place`);
}

/**
 * Makes a new log beside its place and moves it there, so that it is there whole or not at all: LevelDB does not sync
 * the first MANIFEST it makes, and cannot open what a power loss leaves of that.
 */
export async function beginLog(dir: DataDir, { instanceId }: WitnessReading, openStorage: OpenStorage): Promise<void> {
  const { beginning } = dir;
  refuseIfLocked(join(beginning, "LOCK"));
  await rm(beginning, { recursive: true, force: true });
  await makePrivateDirectory(beginning);
  const storage = await openStorage(beginning);
  try {
    await storage.write([genesisOp(newGenesis(instanceId ?? undefined))]);
  } finally {
    await storage.close();
  }
  for (const name of await readdir(beginning)) if (!EMPTY_STORE.has(name)) await syncFile(join(beginning, name));
  await syncDirectory(beginning);
  // Another process may have begun it meanwhile: a rename puts nothing in the place of what has a file in it.
  refuseIfLocked(dir.lock);
  for (const name of EMPTY_STORE) await rm(join(dir.log, name), { force: true });
  await rename(beginning, dir.log);
  await syncDirectory(dir.root);
}
