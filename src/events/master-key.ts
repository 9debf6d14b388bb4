import { randomBytes } from "node:crypto";
import { open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { PortreeveError } from "../lib/errors.ts";
import { isMissing, makePrivateDirectory, syncDirectory, writeDurably } from "./durable-file.ts";
import { Secret } from "./secret.ts";

const KEY_BYTES = 32;

/**
 * The key that wraps every secret's own key, from a file of 64 hex digits that only its owner may touch. If the file
 * is missing it is made, unless `sealed` says that there are secrets which a new key could never open.
 */
export async function loadMasterKey(path: string, sealed: boolean): Promise<Secret> {
  try {
    return await readKey(path);
  } catch (cause) {
    if (!isMissing(cause)) throw cause;
  }
  if (sealed) {
    const message = `the master key ${path} is missing, and there are secrets sealed with it: put it back from a backup`;
    throw new PortreeveError("NOT_FOUND", message, "fatal");
  }
  await makeParent(path);
  await writeDurably(path, `${randomBytes(KEY_BYTES).toString("hex")}\n`, 0o600);
  return readKey(path);
}

async function readKey(path: string): Promise<Secret> {
  const file = await open(path, "r");
  try {
    const { mode } = await file.stat();
    if ((mode & 0o077) !== 0) {
      const message = `${path} may be read or written by others (mode ${(mode & 0o777).toString(8)}): chmod 600 it`;
      throw new PortreeveError("PERMISSION", message, "fatal");
    }
    const text = (await file.readFile("latin1")).trim();
    if (!/^[0-9a-f]{64}$/.test(text)) {
      throw new PortreeveError("CONFIG_INVALID", `${path} is not a master key: 64 hex digits are expected`, "fatal");
    }
    return new Secret(Buffer.from(text, "hex"));
  } finally {
    await file.close();
  }
}

/** A directory we make is private; one that is there is not ours to change. */
async function makeParent(path: string): Promise<void> {
  const parent = dirname(path);
  try {
    await stat(parent);
  } catch (cause) {
    if (!isMissing(cause)) throw cause;
    await makePrivateDirectory(parent);
    await syncDirectory(dirname(parent));
  }
}
