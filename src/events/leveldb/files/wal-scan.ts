import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Seq } from "../../envelope.ts";
import { corrupt } from "../../log-fault.ts";
import { FIRST, FULL, fragmentsOf, LAST } from "./wal.ts";

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

export interface FileScan {
  /** A whole write, or the whole beginning of one, is in the file. */
  readonly begun: boolean;
  readonly damage: { readonly offset: number; readonly before: "end" | "more" } | null;
}

export function scanFile(bytes: Buffer): FileScan {
  let suspect: number | null = null;
  /** Where the fragmented write that has not ended yet began. */
  let open: number | null = null;
  let begun = false;
  for (const { position, type } of fragmentsOf(bytes)) {
    if (type === 0) {
      suspect ??= position;
      continue;
    }
    const begins = type === FULL || type === FIRST;
    suspect ??= begins ? open : open === null ? position : null;
    if (begins && suspect !== null) return { begun: true, damage: { offset: suspect, before: "more" } };
    begun ||= begins;
    open = type === FULL || type === LAST ? null : (open ?? position);
  }
  const offset = suspect ?? open;
  return { begun, damage: offset === null ? null : { offset, before: "end" } };
}

/** The highest record key that the bytes before `end` show, to name the place in words of the log. */
function lastSeqIn(bytes: Buffer, end: number, otherwise: Seq): Seq {
  let last = otherwise;
  for (const [, hex] of bytes.toString("latin1", 0, end).matchAll(/e!([0-9a-f]{14})/g)) {
    last = Math.max(last, Number.parseInt(hex as string, 16));
  }
  return last;
}
