import { isAtOrBelow, type NameKey } from "../../../../lib/domain-name.ts";
import { RCODE, rcodeName, TYPE } from "../../../../protocols/dns/constants.ts";
import { FLAG, type MessageSkim, nameKeyAt, rcodeOf, type RecordSkim, uint32 } from "../../../../protocols/dns/skim.ts";
import { chainOf, tidied } from "./alias-chain.ts";
import type { UpstreamQuestion } from "./upstream-query.ts";

/** What is kept of an upstream's answer, and given to whoever asks the same. */
export interface Answer {
  /** Header, question and records; no OPT. ID and flags are not meant: each reply has its own. */
  readonly body: Uint8Array;
  /** Where the TTLs are. */
  readonly ttlsAt: Uint16Array;
  /** Seconds it may be kept; 0: it is good for those who wait for it, and for nobody later. */
  readonly ttl: number;
  readonly rcode: number;
  /** AD, by a path that nobody could write on. */
  readonly authenticData: boolean;
  /** NXDOMAIN, and not of the end of an alias: then it holds for every type (RFC 2308 §2.1). */
  readonly coversName: boolean;
}

export type Digest =
  | { readonly kind: "answer"; readonly answer: Answer; readonly records: readonly RecordSkim[] }
  /** It would not, or could not: another upstream may. */
  | { readonly kind: "refused"; readonly rcode: number; readonly why: string };

/** RFC 8767 §4 caps what an upstream says; RFC 2308 §5 suggests 1 to 3 hours for "there is none". */
const TTL_MAX = 86_400;
const NEGATIVE_TTL_MAX = 3600;

export interface Received {
  readonly bytes: Uint8Array;
  readonly skim: MessageSkim;
  /** Nobody on the way could have written it. */
  readonly protectedPath: boolean;
  readonly ageSeconds: number;
}

/**
 * Only what belongs to the question is kept: the records of its name and of the aliases it leads to, and for "there is
 * none" the SOA that says for how long. The rest is at the end, so it is cut off: compression points backwards.
 */
export function digest(received: Received, question: UpstreamQuestion, isTidied = false): Digest {
  const { bytes, skim } = received;
  const rcode = rcodeOf(skim.flags) | ((skim.edns?.rcodeHigh ?? 0) << 4);
  if (rcode !== RCODE.NOERROR && rcode !== RCODE.NXDOMAIN && rcode !== RCODE.YXDOMAIN) {
    return { kind: "refused", rcode, why: `it answered ${rcodeName(rcode)}` };
  }
  const answers = skim.records.filter(({ section }) => section === "answer");
  const authorities = skim.records.filter(({ section }) => section === "authority");
  const chain = chainOf(bytes, answers, question.type);
  const whole = chain === null || chain.tidy ? null : tidied(bytes, chain);
  if (chain === null || (!chain.tidy && (whole === null || isTidied))) {
    return { kind: "refused", rcode: RCODE.SERVFAIL, why: "its answer has what was not asked for" };
  }
  if (whole !== null) return digest({ ...received, ...whole }, question, true);
  const end = chain.names.at(-1) as NameKey;
  const negative = rcode === RCODE.NXDOMAIN || !chain.complete;
  const soa = negative ? authorities.find((record) => isSoaOf(bytes, record, end)) : undefined;
  const recursive = (skim.flags & (FLAG.RA | FLAG.AA)) !== 0;
  if (!recursive && question.recursionDesired && negative && soa === undefined) {
    return { kind: "refused", rcode: RCODE.REFUSED, why: "it does not resolve for us" };
  }
  const kept = negative || question.dnssecOk ? [...answers, ...authorities] : answers;
  // A copy: what a socket gives is a part of something larger.
  const body = new Uint8Array(bytes.subarray(0, kept.at(-1)?.end ?? skim.questionEnd));
  writeHeader(body, rcode, answers.length, kept.length - answers.length);
  const lifetime = writeTtls(body, kept, soa);
  const answer: Answer = {
    body,
    ttlsAt: Uint16Array.from(kept, ({ ttlAt }) => ttlAt),
    ttl: negative && soa === undefined ? 0 : Math.max(0, lifetime - received.ageSeconds),
    rcode,
    authenticData: received.protectedPath && (skim.flags & FLAG.AD) !== 0,
    coversName: rcode === RCODE.NXDOMAIN && answers.length === 0,
  };
  return { kind: "answer", answer, records: kept };
}

function isSoaOf(bytes: Uint8Array, record: RecordSkim, name: NameKey): boolean {
  return record.type === TYPE.SOA && isAtOrBelow(name, nameKeyAt(bytes, record.nameAt));
}

function writeHeader(body: Uint8Array, rcode: number, answers: number, authorities: number): void {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  view.setUint16(0, 0);
  view.setUint16(2, FLAG.QR | FLAG.RA | rcode);
  view.setUint16(6, answers);
  view.setUint16(8, authorities);
  view.setUint16(10, 0);
}

/** Puts TTLs into bounds, in place, and says the least of them. */
function writeTtls(body: Uint8Array, records: readonly RecordSkim[], soa: RecordSkim | undefined): number {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  let least = TTL_MAX;
  for (const record of records) {
    const said = uint32(body, record.ttlAt);
    // RFC 2181 §8: with the top bit set it is zero.
    let ttl = said >= 0x8000_0000 ? 0 : Math.min(said, TTL_MAX);
    // RFC 2308 §5: the lesser of the SOA's TTL and its MINIMUM, the last field of its RDATA.
    if (record === soa) ttl = Math.min(ttl, uint32(body, record.end - 4), NEGATIVE_TTL_MAX);
    view.setUint32(record.ttlAt, ttl);
    least = Math.min(least, ttl);
  }
  return records.length === 0 ? 0 : least;
}
