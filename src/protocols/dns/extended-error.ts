import { utf8ToBytes } from "@noble/hashes/utils.js";
import { EDNS_OPTION } from "./constants.ts";
import type { EdnsOption } from "./message.ts";

/** RFC 8914 §4: why, for people who look. */
export const EXTENDED_ERROR = {
  OTHER: 0,
  STALE_ANSWER: 3,
  CACHED_ERROR: 13,
  NOT_READY: 14,
  BLOCKED: 15,
  PROHIBITED: 18,
  STALE_NXDOMAIN_ANSWER: 19,
  NO_REACHABLE_AUTHORITY: 22,
  NETWORK_ERROR: 23,
} as const;

/** A sentence, and not so long that it would push an answer out of its datagram. */
const TEXT_MAX = 200;

/** RFC 8914 §2. The text is for whoever reads dig's output, or the log of an ACME client. */
export function extendedError(code: number, text: string): EdnsOption {
  const words = utf8ToBytes(text.slice(0, TEXT_MAX));
  const data = new Uint8Array(2 + words.length);
  data[1] = code;
  data.set(words, 2);
  return { code: EDNS_OPTION.EXTENDED_ERROR, data };
}
