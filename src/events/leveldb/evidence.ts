import { copyFile, mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { isMissing, makePrivateDirectory, syncDirectory } from "../durable-file.ts";
import { walFiles } from "./files/wal-scan.ts";

const KEPT = 3;

/**
 * Copies what LevelDB's recovery is about to consume and delete, so that a loss that shows later can still be looked
 * into. Holds the log's bytes only; secrets are never among them. Keeps the newest three.
 */
export async function setAside(logDirectory: string, evidenceDirectory: string): Promise<void> {
  const names = (await readdir(logDirectory)).filter((name) => name === "CURRENT" || name.startsWith("MANIFEST-"));
  const files = [...(await walFiles(logDirectory)), ...names];
  if (files.length === 0) return;
  await makePrivateDirectory(evidenceDirectory);
  const numbers = (await readdir(evidenceDirectory)).map(Number).filter(Number.isInteger);
  numbers.sort((a, b) => b - a);
  const target = join(evidenceDirectory, String((numbers[0] ?? 0) + 1));
  await mkdir(target, { mode: 0o700 });
  try {
    for (const file of files) await copyFile(join(logDirectory, file), join(target, file));
    await syncDirectory(target);
  } catch (cause) {
    // On a full disk each start would leave another half.
    await rm(target, { recursive: true, force: true });
    throw cause;
  }
  for (const old of numbers.slice(KEPT - 1)) await rm(join(evidenceDirectory, String(old)), { recursive: true });
}

/**
 * The line in which LevelDB, at the open that has just been, says that it dropped something; null if it dropped
 * nothing. It says so nowhere else, begins this text log anew at each open, and succeeds all the same.
 */
export async function droppedByLevelDb(logDirectory: string): Promise<string | null> {
  try {
    const text = await readFile(join(logDirectory, "LOG"), "utf8");
    return text.split("\n").find((line) => line.includes("ignoring error")) ?? null;
  } catch (cause) {
    if (isMissing(cause)) return null;
    throw cause;
  }
}
