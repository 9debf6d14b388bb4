import type { NameKey } from "../../../../lib/domain-name.ts";
import { HEADER_OCTETS } from "../../../../protocols/dns/constants.ts";
import { FLAG, type QuerySkim } from "../../../../protocols/dns/skim.ts";

const scratch = Buffer.allocUnsafe(512);

/** Name in lower case, type, class, an octet a character: what the same question has in common, and no hash of it. */
export function questionKey(query: Uint8Array, { questionEnd }: QuerySkim): string {
  const nameEnd = questionEnd - 4;
  let length = 0;
  for (let at = HEADER_OCTETS; at < questionEnd; at += 1) {
    const octet = query[at] as number;
    // A length is at most 63, so none is taken for a letter.
    scratch[length] = octet >= 0x41 && octet <= 0x5a && at < nameEnd ? octet + 0x20 : octet;
    length += 1;
  }
  return scratch.toString("latin1", 0, length);
}

export const nameOfKey = (key: string): NameKey => key.slice(0, -4) as NameKey;
/** For an answer that is good for every type of the name. A name ends with its root, so it is no other key's beginning. */
export const nameKeyOf = (key: string): string => key.slice(0, -4) + key.slice(-2);

/** DO, CD and RD make other answers: a character. */
export function flagsKey({ flags, edns }: QuerySkim): string {
  const bits = (flags & FLAG.CD ? 1 : 0) | (flags & FLAG.RD ? 2 : 0) | (edns?.dnssecOk === true ? 4 : 0);
  return FLAG_KEYS[bits] as string;
}

const FLAG_KEYS = "01234567";
