import { corrupt } from "../log-fault.ts";
import { crc32c } from "./files/crc32c.ts";

/**
 * LevelDB's binding does not verify checksums on reads, and a flipped bit comes back as a value. Records have the hash
 * chain against that; every other value carries a checksum over its key and its text.
 */
export function checkedValue(key: string, text: string): string {
  return checksum(key, text) + text;
}

export function readChecked(key: string, value: string): string {
  const text = value.slice(8);
  if (value.slice(0, 8) !== checksum(key, text)) throw corrupt(0, `the value of ${key} is damaged`);
  return text;
}

const checksum = (key: string, text: string): string =>
  crc32c(Buffer.from(`${key}\0${text}`))
    .toString(16)
    .padStart(8, "0");
