import { isAtOrBelow, type NameKey } from "../../../../lib/domain-name.ts";
import { decodeMessage } from "../../../../protocols/dns/decode.ts";
import { encodeMessage } from "../../../../protocols/dns/encode.ts";
import { DnsDecodeError } from "../../../../protocols/dns/error.ts";
import type { DnsRecord } from "../../../../protocols/dns/message.ts";
import { HEADER_OCTETS, TYPE } from "../../../../protocols/dns/constants.ts";
import { type MessageSkim, nameKeyAt, type RecordSkim, skimMessage, uint16 } from "../../../../protocols/dns/skim.ts";

const CHAIN_MAX = 16;
/** Records of other names than the question's: what they cost is an upstream's choice. */
const OWNERS_MAX = 1000;

/** The names that a question leads through, each the alias of the next. */
export interface AliasChain {
  readonly names: readonly NameKey[];
  /** There is a record of the type that was asked for at its end, or any was wanted. */
  readonly complete: boolean;
  /** All answers belong to it, in its order: some clients read no further than where an alias leads next. */
  readonly tidy: boolean;
}

/** Follows aliases through the answers, in whatever order they are; null if there are more than anybody needs. */
export function chainOf(bytes: Uint8Array, answers: readonly RecordSkim[], type: number): AliasChain | null {
  const first = nameKeyAt(bytes, HEADER_OCTETS);
  const isFirst = ({ nameAt }: RecordSkim): boolean => bytes[nameAt] === 0xc0 && bytes[nameAt + 1] === HEADER_OCTETS;
  if (answers.reduce((count, record) => count + (isFirst(record) ? 0 : 1), 0) > OWNERS_MAX) return null;
  const owners = answers.map((record) => (isFirst(record) ? first : nameKeyAt(bytes, record.nameAt)));
  const names = [first];
  for (let name = first; type !== TYPE.CNAME && type !== TYPE.ANY; ) {
    const alias = answers.find((record, index) => record.type === TYPE.CNAME && owners[index] === name);
    name = alias === undefined ? name : nameKeyAt(bytes, alias.dataAt);
    if (names.includes(name)) break;
    names.push(name);
    if (names.length > CHAIN_MAX) return null;
  }
  const end = names.at(-1);
  let complete = false;
  let tidy = true;
  let reached = 0;
  for (const [index, record] of answers.entries()) {
    const owner = owners[index] as NameKey;
    const place = names.indexOf(owner);
    if (place < 0) tidy &&= isOfDname(bytes, record) && names.some((name) => isAtOrBelow(name, owner));
    else if (place < reached) tidy = false;
    else reached = place;
    if (owner === end && (record.type === type || type === TYPE.ANY)) complete = true;
  }
  return { names, complete, tidy };
}

/** RFC 6672 §3.1: a DNAME is of a name above, as is its signature (RFC 4034 §3.1: the type covered comes first). */
function isOfDname(bytes: Uint8Array, { type, dataAt, end }: RecordSkim): boolean {
  return type === TYPE.DNAME || (type === TYPE.RRSIG && end - dataAt > 2 && uint16(bytes, dataAt) === TYPE.DNAME);
}

/** The message anew, its answers those of the chain alone and in its order; null if it cannot be read. The rare case: it is taken apart for this. */
export function tidied(
  bytes: Uint8Array,
  { names }: AliasChain,
): { readonly bytes: Uint8Array; readonly skim: MessageSkim } | null {
  try {
    const { message } = decodeMessage(bytes);
    const left = new Set(message.answers);
    const answers: DnsRecord[] = [];
    for (const name of names) {
      for (const record of left) {
        const owner = record.name.key;
        if (owner !== name && !(isDname(record) && isAtOrBelow(name, owner))) continue;
        answers.push(record);
        left.delete(record);
      }
    }
    const again = encodeMessage({ ...message, answers, additionals: [] });
    const skim = skimMessage(again);
    return skim === null ? null : { bytes: again, skim };
  } catch (cause) {
    if (cause instanceof DnsDecodeError) return null;
    throw cause;
  }
}

function isDname({ type, data }: DnsRecord): boolean {
  if (type === TYPE.DNAME) return true;
  return type === TYPE.RRSIG && data.kind === "opaque" && data.bytes.length > 2 && uint16(data.bytes, 0) === TYPE.DNAME;
}
