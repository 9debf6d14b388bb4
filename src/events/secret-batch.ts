import { randomBytes } from "node:crypto";
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { isMissing } from "./durable-file.ts";

/** Of each secret in the file of a batch: more than a sealed key needs. */
export const PLACE_BYTES = 1024;
const BATCH_DIGITS = 24;
const NAME = /^(s[0-9a-f]{24})\.batch$/;

/**
 * Ids of secrets that are kept in one file, each in a place of its own: written together with one sync, and each
 * overwritten where it lies when it is erased. An id says its file and its place.
 */
export function batchIds(count: number): string[] {
  const batch = `s${randomBytes(BATCH_DIGITS / 2).toString("hex")}`;
  return Array.from({ length: count }, (_, place) => batch + place.toString(16).padStart(32 - BATCH_DIGITS, "0"));
}

const batchOf = (secretId: string): string => secretId.slice(0, 1 + BATCH_DIGITS);
const offsetOf = (secretId: string): number => Number.parseInt(secretId.slice(1 + BATCH_DIGITS), 16) * PLACE_BYTES;

export class SecretBatches {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** The directory's own sync is the caller's. Each text has to fit in its place. */
  async write(secretIds: readonly string[], texts: readonly string[]): Promise<void> {
    const places = texts.map((text) => `${text.padEnd(PLACE_BYTES - 1)}\n`);
    const file = await open(this.#file(secretIds[0] as string), "wx", 0o600);
    try {
      await file.writeFile(places.join(""), "latin1");
      await file.sync();
    } finally {
      await file.close();
    }
  }

  /** Null: it is in no batch, or erased. */
  async read(secretId: string): Promise<string | null> {
    const file = await this.#open(secretId, "r");
    if (file === null) return null;
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(PLACE_BYTES), 0, PLACE_BYTES, offsetOf(secretId));
      return bytesRead === 0 || buffer[0] === 0 ? null : buffer.toString("latin1", 0, bytesRead);
    } finally {
      await file.close();
    }
  }

  /** Overwrites its place; one that is nowhere is erased already. */
  async erase(secretId: string): Promise<void> {
    const file = await this.#open(secretId, "r+");
    if (file === null) return;
    try {
      if (offsetOf(secretId) >= (await file.stat()).size) return;
      await file.write(Buffer.alloc(PLACE_BYTES), 0, PLACE_BYTES, offsetOf(secretId));
      await file.datasync();
    } finally {
      await file.close();
    }
  }

  /** The ids in each file of a batch, by its name; none are left in one that can go. */
  async list(names: readonly string[]): Promise<Map<string, string[]>> {
    const found = new Map<string, string[]>();
    for (const name of names) {
      const batch = NAME.exec(name)?.[1];
      if (batch === undefined) continue;
      const bytes = await readFile(join(this.#directory, name));
      const ids: string[] = [];
      for (let place = 0; place * PLACE_BYTES < bytes.length; place += 1) {
        if (bytes[place * PLACE_BYTES] !== 0) ids.push(batch + place.toString(16).padStart(32 - BATCH_DIGITS, "0"));
      }
      found.set(name, ids);
    }
    return found;
  }

  async #open(secretId: string, flags: "r" | "r+") {
    return await open(this.#file(secretId), flags).catch((cause: unknown) => {
      if (isMissing(cause)) return null;
      throw cause;
    });
  }

  readonly #file = (secretId: string): string => join(this.#directory, `${batchOf(secretId)}.batch`);
}
