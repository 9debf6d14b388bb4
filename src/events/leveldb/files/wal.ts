import { crc32c, masked } from "./crc32c.ts";

/** LevelDB's doc/log_format.md: blocks of 32 KiB, each fragment masked CRC32C, length, type. WALs and MANIFESTs are such. */
const BLOCK_BYTES = 32 * 1024;
const HEADER_BYTES = 7;
export const FULL = 1;
export const FIRST = 2;
const MIDDLE = 3;
export const LAST = 4;

export interface Fragment {
  readonly position: number;
  /** 0: not a whole fragment. */
  readonly type: 0 | typeof FULL | typeof FIRST | typeof MIDDLE | typeof LAST;
  readonly payload: Buffer;
}

/** Every fragment in turn; after a bad one it goes on past it if its length is credible, else at the next block. */
export function* fragmentsOf(file: Buffer): Generator<Fragment> {
  let position = 0;
  while (position < file.length) {
    const left = BLOCK_BYTES - (position % BLOCK_BYTES);
    if (left < HEADER_BYTES) {
      position += left; // the trailer of a block, too short for a header, is zeros
      continue;
    }
    const fragment = fragmentAt(file, position, left);
    yield fragment;
    const skip = fragment.payload.length === 0 && fragment.type === 0;
    position += skip ? left : HEADER_BYTES + fragment.payload.length;
  }
}

const NOTHING = Buffer.alloc(0);

function fragmentAt(file: Buffer, position: number, left: number): Fragment {
  const bad = { position, type: 0, payload: NOTHING } as const;
  if (position + HEADER_BYTES > file.length) return bad;
  const length = file.readUInt16LE(position + 4);
  const end = position + HEADER_BYTES + length;
  if (HEADER_BYTES + length > left || end > file.length) return bad;
  const payload = file.subarray(position + HEADER_BYTES, end);
  const type = file[position + 6] as Fragment["type"];
  const whole = type >= FULL && type <= LAST && file.readUInt32LE(position) === masked(crc32c(file, position + 6, end));
  return whole ? { position, type, payload } : { position, type: 0, payload };
}

/** The logical records up to the first that is not whole. */
export function* recordsOf(file: Buffer): Generator<Buffer> {
  let parts: Buffer[] | null = null;
  for (const { type, payload } of fragmentsOf(file)) {
    if (type === FULL || type === FIRST) parts = [];
    // Damaged, or the rest of a record whose beginning is not there.
    if (type === 0 || parts === null) return;
    parts.push(payload);
    if (type === MIDDLE || type === FIRST) continue;
    yield parts.length === 1 ? payload : Buffer.concat(parts);
    parts = null;
  }
}
