import { ByteReader } from "./bytes.ts";
import { blocksIn, directoriesOf, entriesIn, type Handle, isWhole, userKey } from "./table.ts";
import { FIRST, FULL, fragmentsOf, LAST } from "./wal.ts";

/** One write of LevelDB's: the value of a key, or its deletion, and when among all writes it came. */
export interface RawWrite {
  readonly key: string;
  readonly sequence: bigint;
  /** Null: deleted. */
  readonly value: string | null;
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

/** No key lies outside. */
export interface KeyBounds {
  readonly first: string;
  readonly last: string;
}

/** By its index, whose keys are at or after the last of each block. Null: nothing in the table can be read. */
export function boundsOfTable(table: Buffer): KeyBounds | null {
  const index = indexOf(table);
  if (index === null) return null;
  let last = "";
  for (const { key } of untilDamaged(entriesIn(table, index))) last = userKey(key);
  for (const { key } of writesInTable(table)) return { first: key, last };
  return null;
}

export function* writesInTable(table: Buffer): Generator<RawWrite> {
  for (const block of untilDamaged(recordBlocks(table))) {
    if (isWhole(table, block)) yield* untilDamaged(writesInBlock(table, block));
  }
}

function* recordBlocks(table: Buffer): Generator<Handle> {
  const index = indexOf(table);
  if (index !== null) yield* blocksIn(table, index);
}

/** Null: it is damaged, or what says where it lies is. */
function indexOf(table: Buffer): Handle | null {
  try {
    const index = directoriesOf(table)?.[0];
    return index !== undefined && isWhole(table, index) ? index : null;
  } catch (cause) {
    if (cause instanceof RangeError) return null;
    throw cause;
  }
}

function* writesInBlock(table: Buffer, block: Handle): Generator<RawWrite> {
  for (const { key, value } of entriesIn(table, block)) {
    const tag = key.readBigUInt64LE(key.length - 8);
    const deleted = Number(tag & 0xffn) === DELETION;
    yield { key: userKey(key), sequence: tag >> 8n, value: deleted ? null : value.toString("utf8") };
  }
}
