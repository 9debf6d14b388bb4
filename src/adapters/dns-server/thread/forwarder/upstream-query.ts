import { randomBytes } from "node:crypto";
import {
  HEADER_OCTETS,
  OPCODE,
  RCODE,
  RECORD_OCTETS_MIN,
  TYPE,
  UDP_OCTETS_MAX,
} from "../../../../protocols/dns/constants.ts";
import { FLAG, hasQuestionOctets, isSameQuestion, opcodeOf, rcodeOf, uint16 } from "../../../../protocols/dns/skim.ts";

/** What somebody wants to know: one of these is asked once, however many want it. */
export interface UpstreamQuestion {
  /** Name, type and class, as a client wrote them. */
  readonly octets: Uint8Array;
  readonly type: number;
  readonly recursionDesired: boolean;
  readonly checkingDisabled: boolean;
  readonly dnssecOk: boolean;
  /** Each query that was sent for it, by whatever way: one that comes back to us went in a circle. */
  readonly sent: UpstreamQuery[];
}

export interface QueryForm {
  readonly id: number;
  /** Letters in random case: as many bits more for an off-path attacker to guess (draft-vixie-dnsext-dns0x20). */
  readonly mixedCase: boolean;
  readonly edns: boolean;
  /** AD in a query asks for AD in the answer (RFC 6840 §5.7): only of who is asked over a protected path. */
  readonly authenticData: boolean;
}

export interface UpstreamQuery {
  readonly id: number;
  readonly bytes: Uint8Array;
  /** As it was sent. */
  readonly question: Uint8Array;
}

/** A query of our own: nothing of a client's but its question and flags, no option of its OPT record (RFC 6891 §6.2.6). */
export function upstreamQuery(question: UpstreamQuestion, form: QueryForm): UpstreamQuery {
  const end = HEADER_OCTETS + question.octets.length;
  const bytes = new Uint8Array(end + (form.edns ? RECORD_OCTETS_MIN : 0));
  const view = new DataView(bytes.buffer);
  const flags =
    (question.recursionDesired ? FLAG.RD : 0) |
    (question.checkingDisabled ? FLAG.CD : 0) |
    (form.authenticData ? FLAG.AD : 0);
  view.setUint16(0, form.id);
  view.setUint16(2, flags);
  view.setUint16(4, 1);
  bytes.set(question.octets, HEADER_OCTETS);
  if (form.mixedCase) mixCase(bytes.subarray(HEADER_OCTETS, end - 4));
  if (form.edns) {
    view.setUint16(10, 1);
    view.setUint16(end + 1, TYPE.OPT);
    view.setUint16(end + 3, UDP_OCTETS_MAX);
    view.setUint16(end + 7, question.dnssecOk ? 0x8000 : 0);
  }
  const query = { id: form.id, bytes, question: bytes.slice(HEADER_OCTETS, end) };
  question.sent.push(query);
  return query;
}

/** Octets are letters only inside labels: a length is at most 63. */
function mixCase(name: Uint8Array): void {
  const bits = randomBytes(32);
  for (const [index, octet] of name.entries()) {
    const folded = octet | 0x20;
    if (folded < 0x61 || folded > 0x7a || octet < 0x40) continue;
    name[index] = ((bits[index >> 3] as number) >> (index & 7)) & 1 ? folded : folded & ~0x20;
  }
}

/**
 * What octets are to a query: its answer; its answer but for the case of letters; the bare header by which some refuse
 * EDNS; or nothing of ours (RFC 5452 §9.1), after which the waiting goes on.
 */
export type Kinship = "answer" | "other-case" | "bare-refusal" | "none";

export function kinship(bytes: Uint8Array, query: UpstreamQuery): Kinship {
  if (bytes.length < HEADER_OCTETS || uint16(bytes, 0) !== query.id) return "none";
  const flags = uint16(bytes, 2);
  if ((flags & FLAG.QR) === 0 || opcodeOf(flags) !== OPCODE.QUERY) return "none";
  const questions = uint16(bytes, 4);
  if (questions === 0) {
    const rcode = rcodeOf(flags);
    return rcode === RCODE.FORMERR || rcode === RCODE.NOTIMP ? "bare-refusal" : "none";
  }
  if (questions !== 1) return "none";
  if (hasQuestionOctets(bytes, query.question)) return "answer";
  return isSameQuestion(bytes, query.question) ? "other-case" : "none";
}
