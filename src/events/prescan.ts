import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32c } from "./crc32c.ts";
import type { Seq } from "./envelope.ts";
import { corrupt } from "./log-fault.ts";

/** LevelDB's write-ahead log, doc/log_format.md: blocks of 32 KiB, each fragment CRC32C (masked), length, type. */
const BLOCK_BYTES = 32 * 1024;
const HEADER_BYTES = 7;
const FULL = 1;
const FIRST = 2;
const LAST = 4;

export interface WalScan {
  /** The newest bytes are not whole: a write was cut short, or the tail is damaged. The head witness knows which. */
  readonly torn: boolean;
}

/**
 * Reads the write-ahead logs as LevelDB is about to, and throws LOG_CORRUPT if it would drop anything but the tail:
 * it drops in silence, and then deletes the evidence. Every write is fsynced before the next begins, so a whole write
 * after a damaged one proves that the damaged one had been on the disk.
 */
export async function scanWal(directory: string): Promise<WalScan> {
  let torn: { readonly file: string; readonly offset: number; readonly after: Seq } | null = null;
  let seq: Seq = 0;
  for (const file of await walFiles(directory)) {
    const bytes = await readFile(join(directory, file));
    const { begun, damage } = scanFile(bytes);
    if (torn !== null && begun) throw damaged(torn.file, torn.offset, torn.after);
    if (damage !== null) {
      const after = lastSeqIn(bytes, damage.offset, seq);
      if (damage.before === "more") throw damaged(file, damage.offset, after);
      torn = { file, offset: damage.offset, after };
    }
    seq = lastSeqIn(bytes, bytes.length, seq);
  }
  return { torn: torn !== null };
}

/** Oldest first. */
export async function walFiles(directory: string): Promise<string[]> {
  const files = (await readdir(directory)).filter((name) => /^\d+\.log$/.test(name));
  return files.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
}

const damaged = (file: string, offset: number, seq: Seq): Error =>
  corrupt(seq + 1, `${file} is damaged at byte ${offset}, after record ${seq}, with later writes behind it`);

interface FileScan {
  /** A whole write, or the whole beginning of one, is in the file. */
  readonly begun: boolean;
  readonly damage: { readonly offset: number; readonly before: "end" | "more" } | null;
}

function scanFile(bytes: Buffer): FileScan {
  let suspect: number | null = null;
  /** Where the fragmented write that has not ended yet began. */
  let open: number | null = null;
  let begun = false;
  let position = 0;
  while (position < bytes.length) {
    const left = BLOCK_BYTES - (position % BLOCK_BYTES);
    if (left < HEADER_BYTES) {
      position += left; // the trailer of a block, too short for a header, is zeros
      continue;
    }
    const fragment = readFragment(bytes, position, left);
    if (fragment.ok) {
      const { type } = fragment;
      const begins = type === FULL || type === FIRST;
      suspect ??= begins ? open : open === null ? position : null;
      if (begins && suspect !== null) return { begun: true, damage: { offset: suspect, before: "more" } };
      begun ||= begins;
      open = type === FULL || type === LAST ? null : (open ?? position);
    } else suspect ??= position;
    position += fragment.bytes;
  }
  const offset = suspect ?? open;
  return { begun, damage: offset === null ? null : { offset, before: "end" } };
}

/** `bytes` is how far to go on: past a bad fragment whose length is credible, else to the next block. */
function readFragment(
  file: Buffer,
  position: number,
  left: number,
):
  | { readonly ok: true; readonly type: number; readonly bytes: number }
  | { readonly ok: false; readonly bytes: number } {
  if (position + HEADER_BYTES > file.length) return { ok: false, bytes: left };
  const length = file.readUInt16LE(position + 4);
  const type = file[position + 6] as number;
  const bytes = HEADER_BYTES + length;
  const end = position + bytes;
  if (bytes > left || end > file.length) return { ok: false, bytes: left };
  // A page of zeros that a power loss left behind: its length says nothing.
  if (length === 0 && type === 0) return { ok: false, bytes: left };
  const ok = type >= FULL && type <= LAST && file.readUInt32LE(position) === masked(crc32c(file, position + 6, end));
  return ok ? { ok, type, bytes } : { ok: false, bytes };
}

/** util/crc32c.h: a CRC that is stored among data that is itself checked is rotated and shifted. */
const masked = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;

/** The highest record key that the bytes before `end` show, to name the place in words of the log. */
function lastSeqIn(bytes: Buffer, end: number, otherwise: Seq): Seq {
  let last = otherwise;
  for (const [, hex] of bytes.toString("latin1", 0, end).matchAll(/e!([0-9a-f]{14})/g)) {
    last = Math.max(last, Number.parseInt(hex as string, 16));
  }
  return last;
}
