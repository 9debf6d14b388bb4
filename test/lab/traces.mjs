// Finds secrets where they must not be: whole, or the piece of them that a compressed table or a cut-off file keeps.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Long enough to be there by no chance, and shorter than any secret. */
const WINDOW = 12;

export class Traces {
  /** Piece → of what. @type {Map<string, string>} */
  #pieces = new Map();

  /** @param {string} what @param {readonly string[]} forms it in each form that it could be in */
  add(what, forms) {
    for (const text of forms) {
      if (text.length < WINDOW) throw new Error(`${what} is too short to be told from chance`);
      for (let start = 0; start + WINDOW <= text.length; start += 1)
        this.#pieces.set(text.slice(start, start + WINDOW), what);
    }
  }

  /** What of it is in a text; never where exactly, for that would show it. @param {string} text @returns {Set<string>} */
  in(text) {
    const found = new Set();
    for (let start = 0; start + WINDOW <= text.length; start += 1) {
      const what = this.#pieces.get(text.slice(start, start + WINDOW));
      if (what !== undefined) found.add(what);
    }
    return found;
  }

  /** "what in where". @param {ReadonlyMap<string, string>} places @returns {string[]} */
  foundIn(places) {
    return [...places].flatMap(([where, text]) => [...this.in(text)].map((what) => `${what} in ${where}`));
  }
}

/**
 * Every file below a folder, byte for byte, by its path, and what LevelDB's say once they are read as such: they are
 * compressed, and what was deleted is in them still. What goes while it is read is gone.
 * @param {string} folder
 */
export async function filesOf(folder) {
  /** @type {Map<string, string>} */
  const files = new Map();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath ?? entry.path, entry.name);
    try {
      const bytes = readFileSync(path);
      files.set(path, bytes.toString("latin1"));
      if (/\.(ldb|log)$/.test(path)) files.set(`${path}, decoded`, await writtenIn(path, bytes));
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== "ENOENT") throw error;
    }
  }
  return files;
}

/** @param {string} path @param {Buffer} bytes */
async function writtenIn(path, bytes) {
  /** @type {typeof import("../../src/events/leveldb/files/raw-writes.ts")} */
  const { writesInLog, writesInTable } = await import(
    new URL("../../dist/events/leveldb/files/raw-writes.js", import.meta.url).href
  );
  const writes = path.endsWith(".ldb") ? writesInTable(bytes) : writesInLog(bytes);
  return [...writes].map(({ key, value }) => `${key} ${value ?? ""}`).join("\n");
}
