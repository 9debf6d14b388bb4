import { ByteReader, unsnappy } from "./bytes.ts";
import { crc32c, masked } from "./crc32c.ts";

/** LevelDB's doc/table_format.md: blocks of sorted entries, an index that names them, a footer that names the index. */
export const FOOTER_BYTES = 48;
const TRAILER_BYTES = 5;
const MAGIC = 0xdb4775248b80fb57n;
const SNAPPY = 1;

/** Where a block lies, without its trailer. */
export interface Handle {
  readonly offset: number;
  readonly size: number;
}

export interface BlockEntry {
  readonly key: Buffer;
  readonly value: Buffer;
}

/** A key in a table ends with its sequence and type, as one number of 64 bits. */
export const userKey = (key: Buffer): string => key.toString("utf8", 0, Math.max(key.length - 8, 0));

const handle = (reader: ByteReader): Handle => ({ offset: reader.varint(), size: reader.varint() });

/** The blocks that name others: the index of the records, then the meta index. Null: it does not end like a table. */
export function directoriesOf(table: Buffer): [index: Handle, meta: Handle] | null {
  if (table.readBigUInt64LE(table.length - 8) !== MAGIC) return null;
  const footer = new ByteReader(table.subarray(Math.max(table.length - FOOTER_BYTES, 0)));
  const meta = handle(footer);
  return [handle(footer), meta];
}

export function isWhole(table: Buffer, { offset, size }: Handle): boolean {
  const end = offset + size;
  if (end + TRAILER_BYTES > table.length) return false;
  return table.readUInt32LE(end + 1) === masked(crc32c(table, offset, end + 1));
}

/** The blocks that a directory names. */
export function blocksIn(table: Buffer, directory: Handle): Handle[] {
  return [...entriesIn(table, directory)].map(({ value }) => handle(new ByteReader(value)));
}

/** Entries of shared, unshared and value length, key and value; then an array of restart points. */
export function* entriesIn(table: Buffer, { offset, size }: Handle): Generator<BlockEntry> {
  const stored = table.subarray(offset, offset + size);
  const block = table[offset + size] === SNAPPY ? unsnappy(stored) : stored;
  const restartsAt = block.length - 4 * (block.readUInt32LE(block.length - 4) + 1);
  if (restartsAt < 0) throw new RangeError("more restart points than there is room for");
  const entries = new ByteReader(block.subarray(0, restartsAt));
  let key = Buffer.alloc(0);
  while (!entries.atEnd) {
    const shared = entries.varint();
    const unshared = entries.varint();
    const valueLength = entries.varint();
    if (shared > key.length) throw new RangeError("a key that begins like no other");
    key = Buffer.concat([key.subarray(0, shared), entries.take(unshared)]);
    yield { key, value: entries.take(valueLength) };
  }
}
