import { randomBytes } from "node:crypto";
import { chmod, type FileHandle, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";

/** Makes names made or removed in a directory survive a power loss. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

export async function syncFile(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** What is written into a new file: its bytes, or who writes them piece by piece. */
export type FileContent = string | Uint8Array | ((file: FileHandle) => Promise<void>);

/** The file is there whole or not at all, after a crash at any instant too. */
export async function writeDurably(path: string, content: FileContent, mode = 0o600): Promise<void> {
  const temporary = `${path}.${randomBytes(4).toString("hex")}.tmp`;
  try {
    const file = await open(temporary, "wx", mode);
    try {
      if (typeof content === "function") await content(file);
      else await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true });
    throw cause;
  }
  await syncDirectory(dirname(path));
}

/** Removes what a kill has left of files that `writeDurably` was writing in a directory, if nobody writes one there. */
export async function removeUnfinished(directory: string): Promise<void> {
  const names = await readdir(directory).catch((): string[] => []);
  // Nothing depends on it: what stays is tried again at the next start.
  for (const name of names) if (UNFINISHED.test(name)) await rm(join(directory, name), { force: true }).catch(() => {});
}

const UNFINISHED = /\.[0-9a-f]{8}\.tmp$/;

export async function removeDurably(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncDirectory(dirname(path));
}

/** A directory that only we may enter, whatever the umask was, and that a power loss does not take away again. */
export async function makePrivateDirectory(path: string): Promise<void> {
  const made = await mkdir(path, { recursive: true, mode: 0o700 });
  await chmod(path, 0o700);
  if (made === undefined) return;
  const above = dirname(resolve(made));
  for (let parent = dirname(resolve(path)); ; parent = dirname(parent)) {
    await syncDirectory(parent);
    if (parent === above) return;
  }
}

export function isMissing(cause: unknown): boolean {
  return (cause as { code?: unknown } | null)?.code === "ENOENT";
}
