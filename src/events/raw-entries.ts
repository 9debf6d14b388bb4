import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { isMissing } from "./durable-file.ts";
import { ByteReader } from "./leveldb-bytes.ts";
import { FIRST, FULL, fragmentsOf, LAST } from "./leveldb-log.ts";
import { blocksIn, directoriesOf, entriesIn, type Handle, isWhole } from "./leveldb-table.ts";

/** One write of LevelDB's: the value of a key, or its deletion, and when among all writes it came. */
export interface RawWrite {
  readonly key: string;
  readonly sequence: bigint;
  /** Null: deleted. */
  readonly value: string | null;
}

/**
 * What LevelDB's files in these directories hold, without LevelDB, which refuses, drops or dies on damage: every write
 * whose checksum is right, and of those to one key the last. All of it in memory.
 */
export async function readRawEntries(directories: readonly string[]): Promise<Map<string, string>> {
  const latest = new Map<string, RawWrite>();
  for (const directory of directories) {
    for (const name of await filesIn(directory)) {
      const bytes = await readFile(join(directory, name));
      for (const write of name.endsWith(".log") ? writesInLog(bytes) : writesInTable(bytes)) {
        const known = latest.get(write.key);
        if (known === undefined || known.sequence <= write.sequence) latest.set(write.key, write);
      }
    }
  }
  const entries = new Map<string, string>();
  for (const { key, value } of latest.values()) if (value !== null) entries.set(key, value);
  return entries;
}

async function filesIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((name) => /^\d+\.(log|ldb|sst)$/.test(name));
  } catch (cause) {
    if (isMissing(cause)) return [];
    throw cause;
  }
}

/** Value types of db/dbformat.h. */
const DELETION = 0;
const VALUE = 1;

/** Damage in what the checksums have let through is damage all the same: what comes after it is given up. */
function* untilDamaged<T>(items: Generator<T>): Generator<T> {
  try {
    yield* items;
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
  }
}

export function* writesInLog(file: Buffer): Generator<RawWrite> {
  let parts: Buffer[] | null = null;
  for (const { type, payload } of fragmentsOf(file)) {
    if (type === 0) parts = null;
    else if (type === FULL || type === FIRST) parts = [payload];
    else parts?.push(payload);
    if (parts === null || (type !== FULL && type !== LAST)) continue;
    yield* untilDamaged(writesInBatch(Buffer.concat(parts)));
    parts = null;
  }
}

/** A WriteBatch (db/write_batch.cc): the sequence of its first write, their count, then each. */
function* writesInBatch(batch: Buffer): Generator<RawWrite> {
  let sequence = batch.readBigUInt64LE(0);
  const writes = new ByteReader(batch.subarray(12));
  while (!writes.atEnd) {
    const type = writes.byte();
    if (type !== VALUE && type !== DELETION) throw new RangeError("neither a value nor a deletion");
    const key = writes.string().toString("utf8");
    yield { key, sequence, value: type === VALUE ? writes.string().toString("utf8") : null };
    sequence += 1n;
  }
}

export function* writesInTable(table: Buffer): Generator<RawWrite> {
  for (const block of untilDamaged(recordBlocks(table))) {
    if (isWhole(table, block)) yield* untilDamaged(writesInBlock(table, block));
  }
}

function* recordBlocks(table: Buffer): Generator<Handle> {
  const index = directoriesOf(table)?.[0];
  if (index !== undefined && isWhole(table, index)) yield* blocksIn(table, index);
}

/** A key in a table ends with its sequence and type, as one number of 64 bits. */
function* writesInBlock(table: Buffer, block: Handle): Generator<RawWrite> {
  for (const { key, value } of entriesIn(table, block)) {
    const tag = key.readBigUInt64LE(key.length - 8);
    const deleted = Number(tag & 0xffn) === DELETION;
    const user = key.toString("utf8", 0, key.length - 8);
    yield { key: user, sequence: tag >> 8n, value: deleted ? null : value.toString("utf8") };
  }
}
