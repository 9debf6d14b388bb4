import { assert } from "../../lib/assert.ts";
import { formatIpv6, parseIpv6 } from "../../lib/ipv6.ts";

/** An IPv6 address as four words of 32 bits, the first one first: what elements are made of. */
export type AddressWords = readonly [number, number, number, number];

export function wordsOf(address: string): AddressWords {
  const groups = parseIpv6(address);
  assert(groups !== null, `rows hold canonical IPv6 addresses, not ${address}`);
  const word = (index: number): number => (((groups[index] ?? 0) << 16) | (groups[index + 1] ?? 0)) >>> 0;
  return [word(0), word(2), word(4), word(6)];
}

export function textOfWords(words: AddressWords): string {
  return formatIpv6(words.flatMap((word) => [word >>> 16, word & 0xffff]));
}

export const readWords = (bytes: Buffer, at: number): AddressWords => [
  bytes.readUInt32BE(at),
  bytes.readUInt32BE(at + 4),
  bytes.readUInt32BE(at + 8),
  bytes.readUInt32BE(at + 12),
];

export function bytesOfWords(words: AddressWords): Buffer {
  const bytes = Buffer.alloc(16);
  for (const [index, word] of words.entries()) bytes.writeUInt32BE(word, index * 4);
  return bytes;
}

/** Length of the network that is exactly these addresses; null if none is. */
export function prefixLengthBetween(first: AddressWords, last: AddressWords): number | null {
  const value = (words: AddressWords): bigint => words.reduce((sum, word) => (sum << 32n) | BigInt(word), 0n);
  const size = value(last) - value(first) + 1n;
  const isNetwork = size > 0n && (size & (size - 1n)) === 0n && value(first) % size === 0n;
  return isNetwork ? 129 - size.toString(2).length : null;
}
