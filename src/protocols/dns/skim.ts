import { NAME_OCTETS_MAX, type NameKey } from "../../lib/domain-name.ts";
import { HEADER_OCTETS, HOPS_MAX, QUESTION_OCTETS_MIN, RECORD_OCTETS_MIN, TYPE } from "./constants.ts";

/**
 * Where the parts of a message are, without taking any of it apart: what is relayed keeps its octets, and only an ID, a
 * flag or a TTL is written over. As strict as the codec about what a client would have to trust: names, lengths, the
 * RDATA of types that everybody reads. Never throws; null is what is no message.
 */

/** RFC 6891 §6.1. */
export interface EdnsSkim {
  readonly udpOctets: number;
  /** The upper eight bits of the rcode. */
  readonly rcodeHigh: number;
  readonly version: number;
  readonly dnssecOk: boolean;
}

export interface QuerySkim {
  /** Octets 2 and 3 of the header. */
  readonly flags: number;
  readonly type: number;
  readonly class: number;
  /** The question is from octet 12 to here. */
  readonly questionEnd: number;
  readonly edns: EdnsSkim | null;
}

export type Section = "answer" | "authority" | "additional";

export interface RecordSkim {
  readonly section: Section;
  readonly nameAt: number;
  readonly type: number;
  readonly class: number;
  readonly ttlAt: number;
  readonly dataAt: number;
  /** One past the record. */
  readonly end: number;
}

export interface MessageSkim extends QuerySkim {
  readonly id: number;
  /** False: no question, as in the bare header by which some refuse EDNS; then its type and class are 0. */
  readonly hasQuestion: boolean;
  /** The OPT record is not among them. */
  readonly records: readonly RecordSkim[];
  /** What was looked at: octets of names' lengths and pointers, and records. At most 64 for each octet of the message. */
  readonly steps: number;
}

const SECTIONS: readonly Section[] = ["answer", "authority", "additional"];

export const uint16 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] as number) << 8) | (bytes[at + 1] as number);

export const uint32 = (bytes: Uint8Array, at: number): number => uint16(bytes, at) * 0x10000 + uint16(bytes, at + 2);

/** The rcode in four bits. */
export const rcodeOf = (flags: number): number => flags & 0xf;
export const opcodeOf = (flags: number): number => (flags >> 11) & 0xf;
/** Bits of `flags` (RFC 1035 §4.1.1, RFC 4035 §3.2). */
export const FLAG = { QR: 0x8000, AA: 0x0400, TC: 0x0200, RD: 0x0100, RA: 0x0080, AD: 0x0020, CD: 0x0010 } as const;

/** One question, no answer yet. A query with more than an OPT record in it goes the long way. */
export function skimQuery(bytes: Uint8Array): QuerySkim | null {
  if (bytes.length < HEADER_OCTETS || uint16(bytes, 4) !== 1) return null;
  const additionals = uint16(bytes, 10);
  if (uint16(bytes, 6) !== 0 || uint16(bytes, 8) !== 0) return null;
  const nameEnd = plainNameEnd(bytes, HEADER_OCTETS);
  const questionEnd = nameEnd + 4;
  if (nameEnd < 0 || questionEnd > bytes.length) return null;
  let edns: EdnsSkim | null = null;
  let end = questionEnd;
  if (additionals > 0) {
    const isOpt =
      additionals === 1 &&
      questionEnd + RECORD_OCTETS_MIN <= bytes.length &&
      bytes[questionEnd] === 0 &&
      uint16(bytes, questionEnd + 1) === TYPE.OPT;
    if (!isOpt) return skimMessage(bytes);
    end += RECORD_OCTETS_MIN + uint16(bytes, questionEnd + 9);
    edns = end === bytes.length ? ednsAt(bytes, questionEnd, end) : null;
    if (edns === null) return null;
  }
  if (end !== bytes.length) return null;
  const flags = uint16(bytes, 2);
  return { flags, type: uint16(bytes, nameEnd), class: uint16(bytes, nameEnd + 2), questionEnd, edns };
}

/** A name without pointers: there is nothing before a question that one could point at. */
function plainNameEnd(bytes: Uint8Array, start: number): number {
  for (let at = start; at - start < NAME_OCTETS_MAX; ) {
    const length = bytes[at];
    if (length === undefined || length > 63) return -1;
    if (length === 0) return at + 1;
    at += 1 + length;
  }
  return -1;
}

interface Walk {
  readonly bytes: Uint8Array;
  steps: number;
}

export function skimMessage(bytes: Uint8Array): MessageSkim | null {
  if (bytes.length < HEADER_OCTETS) return null;
  const counts = [uint16(bytes, 6), uint16(bytes, 8), uint16(bytes, 10)];
  const questions = uint16(bytes, 4);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const least = questions * QUESTION_OCTETS_MIN + total * RECORD_OCTETS_MIN;
  if (questions > 1 || least > bytes.length - HEADER_OCTETS) return null;
  const nameEnd = questions === 1 ? plainNameEnd(bytes, HEADER_OCTETS) : HEADER_OCTETS - 4;
  const questionEnd = nameEnd + 4;
  if (nameEnd < 0 || questionEnd > bytes.length) return null;
  const walk: Walk = { bytes, steps: 0 };
  const records: RecordSkim[] = [];
  let edns: EdnsSkim | null = null;
  let at = questionEnd;
  for (const [index, count] of counts.entries()) {
    for (let left = count; left > 0; left -= 1) {
      const record = recordAt(walk, at, SECTIONS[index] as Section);
      if (record === null) return null;
      at = record.end;
      if (record.type !== TYPE.OPT) {
        records.push(record);
        continue;
      }
      // RFC 6891 §6.1.1: one at most, of the root, among the additional records.
      const found: EdnsSkim | null =
        record.section === "additional" && edns === null ? ednsAt(bytes, record.nameAt, record.end) : null;
      if (found === null || bytes[record.nameAt] !== 0) return null;
      edns = found;
    }
  }
  if (at !== bytes.length) return null;
  const [type, cls] = questions === 1 ? [uint16(bytes, nameEnd), uint16(bytes, nameEnd + 2)] : [0, 0];
  const question = { id: uint16(bytes, 0), flags: uint16(bytes, 2), type, class: cls, questionEnd };
  return { ...question, hasQuestion: questions === 1, edns, records, steps: walk.steps };
}

function recordAt(walk: Walk, nameAt: number, section: Section): RecordSkim | null {
  const { bytes } = walk;
  const at = nameEndAt(walk, nameAt);
  if (at < 0 || at + 10 > bytes.length) return null;
  const dataAt = at + 10;
  const end = dataAt + uint16(bytes, at + 8);
  if (end > bytes.length) return null;
  const record = { section, nameAt, type: uint16(bytes, at), class: uint16(bytes, at + 2), ttlAt: at + 4, dataAt, end };
  // Whatever the class: names that nobody looked at must not be followed by those who come later.
  return isWholeData(walk, record) ? record : null;
}

/** One past the name at `at`, whose pointers lead strictly backwards (RFC 1035 §4.1.4) and not into the header; -1: no name. */
function nameEndAt(walk: Walk, at: number): number {
  const { bytes } = walk;
  let end = -1;
  let octets = 0;
  let hops = 0;
  let segment = at;
  for (let here = at; ; ) {
    walk.steps += 1;
    const length = bytes[here];
    if (length === undefined) return -1;
    if (length === 0) return octets >= NAME_OCTETS_MAX ? -1 : end < 0 ? here + 1 : end;
    if (length < 0x40) {
      octets += 1 + length;
      here += 1 + length;
      if (octets >= NAME_OCTETS_MAX) return -1;
      continue;
    }
    const low = bytes[here + 1];
    if (length < 0xc0 || low === undefined) return -1;
    const pointsAt = ((length & 0x3f) << 8) | low;
    hops += 1;
    if (pointsAt < HEADER_OCTETS || pointsAt >= segment || hops > HOPS_MAX) return -1;
    if (end < 0) end = here + 2;
    segment = pointsAt;
    here = pointsAt;
  }
}

/** Whether the RDATA is what its type says, exactly; of a type that is not read here it is. */
function isWholeData(walk: Walk, { type, dataAt, end }: RecordSkim): boolean {
  switch (type) {
    case TYPE.A:
      return end - dataAt === 4;
    case TYPE.AAAA:
      return end - dataAt === 16;
    case TYPE.NS:
    case TYPE.CNAME:
    case TYPE.PTR:
    case TYPE.DNAME:
      return nameEndAt(walk, dataAt) === end;
    case TYPE.MX:
      return end - dataAt > 2 && nameEndAt(walk, dataAt + 2) === end;
    case TYPE.SRV:
      return end - dataAt > 6 && nameEndAt(walk, dataAt + 6) === end;
    case TYPE.SOA: {
      const mailbox = nameEndAt(walk, dataAt);
      return mailbox >= 0 && nameEndAt(walk, mailbox) + 20 === end;
    }
    case TYPE.SVCB:
    case TYPE.HTTPS:
      return serviceParametersEnd(walk, dataAt, end) === end;
    default:
      return true;
  }
}

function serviceParametersEnd({ bytes }: Walk, dataAt: number, end: number): number {
  let at = plainNameEnd(bytes, dataAt + 2);
  if (at < 0) return -1;
  for (let last = -1; at < end; ) {
    if (at + 4 > end) return -1;
    const key = uint16(bytes, at);
    // RFC 9460 §2.2: strictly ascending.
    if (key <= last) return -1;
    last = key;
    at += 4 + uint16(bytes, at + 2);
  }
  return at;
}

/** The parameters of an SVCB or HTTPS record that was skimmed (RFC 9460 §2.2). */
export function* serviceParameters(
  bytes: Uint8Array,
  { dataAt, end }: RecordSkim,
): Generator<{ readonly key: number; readonly at: number; readonly end: number }> {
  let at = plainNameEnd(bytes, dataAt + 2);
  while (at < end) {
    const next = at + 4 + uint16(bytes, at + 2);
    yield { key: uint16(bytes, at), at: at + 4, end: next };
    at = next;
  }
}

function ednsAt(bytes: Uint8Array, at: number, end: number): EdnsSkim | null {
  const edns = {
    udpOctets: uint16(bytes, at + 3),
    rcodeHigh: bytes[at + 5] as number,
    version: bytes[at + 6] as number,
    dnssecOk: (uint16(bytes, at + 7) & 0x8000) !== 0,
  };
  // What options look like is known of version 0 only.
  if (edns.version !== 0) return edns;
  let option = at + RECORD_OCTETS_MIN;
  while (option + 4 <= end) option += 4 + uint16(bytes, option + 2);
  return option === end ? edns : null;
}

/** A name that was skimmed, in wire form and lower case, an octet a character: what names are compared by (RFC 4343). */
export function nameKeyAt(bytes: Uint8Array, at: number): NameKey {
  let key = "";
  for (let here = at; ; ) {
    const length = bytes[here] as number;
    if (length >= 0xc0) {
      here = ((length & 0x3f) << 8) | (bytes[here + 1] as number);
      continue;
    }
    key += String.fromCharCode(length);
    if (length === 0) return key as NameKey;
    for (let index = here + 1; index <= here + length; index += 1)
      key += String.fromCharCode(lower(bytes[index] as number));
    here += 1 + length;
  }
}

const lower = (octet: number): number => (octet >= 0x41 && octet <= 0x5a ? octet + 0x20 : octet);

/** Whether the question of `bytes` is octet for octet `question`: a server that echoes it keeps the case (RFC 4343 §4.1). */
export function hasQuestionOctets(bytes: Uint8Array, question: Uint8Array): boolean {
  if (bytes.length < HEADER_OCTETS + question.length) return false;
  for (let index = 0; index < question.length; index += 1) {
    if (bytes[HEADER_OCTETS + index] !== question[index]) return false;
  }
  return true;
}

/** The same without a look at case. A length octet is at most 63, so none is taken for a letter. */
export function isSameQuestion(bytes: Uint8Array, question: Uint8Array): boolean {
  if (bytes.length < HEADER_OCTETS + question.length) return false;
  const name = question.length - 4;
  for (let index = 0; index < question.length; index += 1) {
    const [one, other] = [bytes[HEADER_OCTETS + index] as number, question[index] as number];
    if (one !== other && (index >= name || lower(one) !== lower(other))) return false;
  }
  return true;
}
