import { existsSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { DataDir } from "../../data-dir.ts";
import { isMissing } from "../../durable-file.ts";
import type { Seq } from "../../envelope.ts";
import { corrupt } from "../../log-fault.ts";
import { ByteReader } from "./bytes.ts";
import { blocksIn, directoriesOf, FOOTER_BYTES, isWhole, userKey } from "./table.ts";
import { recordsOf } from "./wal.ts";

interface Table {
  readonly number: number;
  readonly bytes: number;
  /** Its smallest and its largest key. */
  readonly first: string;
  readonly last: string;
}

/**
 * Verifies the checksums of LevelDB's tables, newest first, until `bytesMax` have been read, and throws LOG_CORRUPT at
 * the first that fails. LevelDB itself does not, and its binding is built with assertions on: a flipped bit in a table
 * does not become an error there, it ends the process, again at each start. `pause` is awaited after each table.
 */
export async function scanTables(
  directory: string,
  bytesMax: number,
  pause: () => Promise<void> = async () => {},
): Promise<void> {
  let left = bytesMax;
  for (const { path, bytes, first } of await liveTables(directory)) {
    if (left <= 0) return;
    left -= bytes;
    const seq = firstSeqOf(first);
    const what = `${basename(path)}, with records from ${seq} on,`;
    const table = await readFile(path).catch((cause: unknown) => {
      if ((cause as NodeJS.ErrnoException).code === "EIO") throw corrupt(seq, `${what} cannot be read`, cause);
      return missingAsNull(cause); // LevelDB reports that by itself
    });
    const offset = table === null ? null : firstDamage(table);
    if (offset !== null) throw corrupt(seq, `${what} is damaged at byte ${offset}`);
    await pause();
  }
}

/** The newest tables, where the tail is. */
const NEWEST_BYTES = 64 * 1024 * 1024;

/**
 * How much of the tables a start reads before it trusts LevelDB with them. Not all, or a start would take the longer the
 * longer the log is; but all if a fault is known, or if the last start ended out of order before it had looked at all of
 * them beside its work: it may have ended in LevelDB's death on one of the others, as early as in its open.
 */
export async function bytesToScan({ unchecked }: Pick<DataDir, "unchecked">, suspected: boolean): Promise<number> {
  const doubtful = suspected || existsSync(unchecked);
  const noted = await writeFile(unchecked, "", { mode: 0o600 }).then(
    () => true,
    () => false, // on a full disk: the next start would not know
  );
  return noted && !doubtful ? NEWEST_BYTES : Number.POSITIVE_INFINITY;
}

/** Scans all tables, beside the work. */
export async function scanAllTables({ log, unchecked }: DataDir, pause: () => Promise<void>): Promise<void> {
  await scanTables(log, Number.POSITIVE_INFINITY, pause);
  await rm(unchecked, { force: true });
}

/** Of the first record in a table, as far as its smallest key says. */
function firstSeqOf(key: string): Seq {
  const hex = /^e!([0-9a-f]{14})/.exec(key)?.[1];
  return hex === undefined ? 1 : Number.parseInt(hex, 16);
}

const missingAsNull = (cause: unknown): null => {
  if (isMissing(cause)) return null;
  throw cause;
};

/** Tags of db/version_edit.cc. */
const COMPARATOR = 1;
const COMPACT_POINTER = 5;
const DELETED_FILE = 6;
const NEW_FILE = 7;

export interface LiveTable extends Table {
  readonly path: string;
}

/** Tables that the MANIFEST counts as part of the store, newest first; others are leftovers of a crash, which may be torn. */
export async function liveTables(directory: string): Promise<LiveTable[]> {
  const current = await readFile(join(directory, "CURRENT"), "latin1").catch(missingAsNull);
  const manifest = /^MANIFEST-\d+\n$/.test(current ?? "") ? (current as string).trim() : null;
  const bytes = manifest === null ? null : await readFile(join(directory, manifest)).catch(missingAsNull);
  const tables = bytes === null ? [] : tablesOf(bytes);
  return tables.map((table) => ({ ...table, path: join(directory, `${String(table.number).padStart(6, "0")}.ldb`) }));
}

/** Newest first. */
export function tablesOf(manifest: Buffer): Table[] {
  const live = new Map<number, Table>();
  try {
    for (const edit of recordsOf(manifest)) applyEdit(new ByteReader(edit), live);
  } catch (cause) {
    // A MANIFEST that is damaged, LevelDB refuses by itself.
    if (!(cause instanceof RangeError)) throw cause;
  }
  return [...live.values()].sort((a, b) => b.number - a.number);
}

function applyEdit(edit: ByteReader, live: Map<number, Table>): void {
  while (!edit.atEnd) {
    const tag = edit.varint();
    if (tag === COMPARATOR) edit.string();
    else if (tag === COMPACT_POINTER) {
      edit.varint();
      edit.string();
    } else if (tag === DELETED_FILE) {
      edit.varint();
      live.delete(edit.varint());
    } else if (tag === NEW_FILE) {
      edit.varint();
      const number = edit.varint();
      const bytes = edit.varint();
      live.set(number, { number, bytes, first: userKey(edit.string()), last: userKey(edit.string()) });
    } else edit.varint(); // a log number, the next file number, the last sequence
  }
}

/** Where the first bad block of a table begins; null if all are as they were written. */
export function firstDamage(table: Buffer): number | null {
  const footerAt = Math.max(table.length - FOOTER_BYTES, 0);
  /** Where nothing is, the handle that points there is wrong. */
  const inside = (offset: number): number => Math.min(offset, footerAt);
  try {
    const directories = directoriesOf(table);
    if (directories === null) return footerAt;
    // The index names the blocks of records, the other one the block of Bloom filters.
    for (const directory of directories) {
      if (!isWhole(table, directory)) return inside(directory.offset);
      const bad = blocksIn(table, directory).find((block) => !isWhole(table, block));
      if (bad !== undefined) return inside(bad.offset);
    }
    return null;
  } catch (cause) {
    if (cause instanceof RangeError) return footerAt;
    throw cause;
  }
}
