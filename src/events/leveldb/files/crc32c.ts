/** CRC-32C (Castagnoli, RFC 3720 appendix B.4), which LevelDB's files carry; reflected polynomial 0x82f63b78. */
const POLYNOMIAL = 0x82f63b78;

/**
 * `TABLES[256 * n + byte]` is the effect of a byte that `n` more follow: four bytes go in at once, each through a table
 * of its own ("slicing by 4"), because a start checksums many megabytes.
 */
const TABLES = new Int32Array(4 * 256);
for (let byte = 0; byte < 256; byte += 1) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  TABLES[byte] = crc;
}
for (let index = 256; index < TABLES.length; index += 1) {
  const before = TABLES[index - 256] as number;
  TABLES[index] = (before >>> 8) ^ (TABLES[before & 0xff] as number);
}

export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let crc = -1;
  let index = start;
  for (; index + 4 <= end; index += 4) {
    crc ^=
      (bytes[index] as number) |
      ((bytes[index + 1] as number) << 8) |
      ((bytes[index + 2] as number) << 16) |
      ((bytes[index + 3] as number) << 24);
    crc =
      (TABLES[768 + (crc & 0xff)] as number) ^
      (TABLES[512 + ((crc >>> 8) & 0xff)] as number) ^
      (TABLES[256 + ((crc >>> 16) & 0xff)] as number) ^
      (TABLES[crc >>> 24] as number);
  }
  for (; index < end; index += 1) crc = (TABLES[(crc ^ (bytes[index] as number)) & 0xff] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** util/crc32c.h: a CRC that is stored among data which is itself checked is rotated and shifted. */
export const masked = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
