import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { isMissing } from "./durable-file.ts";
import type { Seq } from "./envelope.ts";
import { ByteReader } from "./leveldb-bytes.ts";
import { recordsOf } from "./leveldb-log.ts";
import { blocksIn, directoriesOf, FOOTER_BYTES, isWhole } from "./leveldb-table.ts";
import { corrupt } from "./log-fault.ts";

interface Table {
  readonly number: number;
  readonly bytes: number;
  /** Of the first record in it, as far as its smallest key says. */
  readonly firstSeq: Seq;
}

/**
 * Verifies the checksums of LevelDB's tables, newest first, until `bytesMax` have been read, and throws LOG_CORRUPT at
 * the first that fails. LevelDB itself does not, and its binding is built with assertions on: a flipped bit in a table
 * does not become an error there, it ends the process, again at each start.
 */
export async function scanTables(directory: string, bytesMax: number): Promise<void> {
  let left = bytesMax;
  for (const { number, bytes, firstSeq } of await liveTables(directory)) {
    if (left <= 0) return;
    left -= bytes;
    const name = `${String(number).padStart(6, "0")}.ldb`;
    // One that is missing LevelDB reports by itself.
    const table = await readFile(join(directory, name)).catch(missingAsNull);
    const offset = table === null ? null : firstDamage(table);
    if (offset !== null) {
      throw corrupt(firstSeq, `${name}, with records from ${firstSeq} on, is damaged at byte ${offset}`);
    }
  }
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

/** Tables that the MANIFEST counts as part of the store; others are leftovers of a crash, which may be torn. */
async function liveTables(directory: string): Promise<Table[]> {
  const current = await readFile(join(directory, "CURRENT"), "latin1").catch(missingAsNull);
  const manifest = /^MANIFEST-\d+\n$/.test(current ?? "") ? (current as string).trim() : null;
  const bytes = manifest === null ? null : await readFile(join(directory, manifest)).catch(missingAsNull);
  return bytes === null ? [] : tablesOf(bytes);
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
      const hex = /^e!([0-9a-f]{14})/.exec(edit.string().toString("latin1"))?.[1];
      edit.string();
      live.set(number, { number, bytes, firstSeq: hex === undefined ? 1 : Number.parseInt(hex, 16) });
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
