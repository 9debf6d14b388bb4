import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";

/** Octets of a hex dump; white space is for the reader. */
export const hex = (text: string): Uint8Array => hexToBytes(text.replace(/\s/g, ""));
/** A hex dump as `toHex` gives it. */
export const flat = (text: string): string => text.replace(/\s/g, "");
export const toHex = (bytes: Uint8Array): string => bytesToHex(bytes);
/** A hex dump with the octets from `offset` on replaced. */
export function patch(bytes: Uint8Array, offset: number, text: string): Uint8Array {
  const patched = Uint8Array.from(bytes);
  patched.set(hex(text), offset);
  return patched;
}
export function concat(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}
