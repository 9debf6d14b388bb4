import {
  HEADER_OCTETS,
  MESSAGE_OCTETS_MAX,
  OPCODE,
  RCODE,
  RECORD_OCTETS_MIN,
  TYPE,
  UDP_OCTETS_MAX,
  UDP_OCTETS_MIN,
} from "../../../../protocols/dns/constants.ts";
import { extendedError } from "../../../../protocols/dns/extended-error.ts";
import type { EdnsOption } from "../../../../protocols/dns/message.ts";
import { FLAG, type QuerySkim, uint16, uint32 } from "../../../../protocols/dns/skim.ts";
import type { Answer } from "./digest.ts";

export interface ExtendedError {
  readonly code: number;
  /** ASCII, a sentence without a stop. */
  readonly text: string;
}

export interface ClientQuery {
  readonly query: Uint8Array;
  readonly skim: QuerySkim;
  readonly transport: "udp" | "tcp";
}

export interface ReplyForm {
  /** How old the answer is, seconds; its TTLs are that much less. */
  readonly age: number;
  /** In place of what is left of the TTLs (RFC 8767 §4). */
  readonly ttl: number | null;
  readonly error: ExtendedError | null;
}

/** What the client takes: RFC 6891 §6.2.5, and no more than crosses every path in one piece (RFC 9715). */
export function octetsMax({ skim, transport }: ClientQuery): number {
  if (transport === "tcp") return MESSAGE_OCTETS_MAX;
  return Math.min(Math.max(skim.edns?.udpOctets ?? 0, UDP_OCTETS_MIN), UDP_OCTETS_MAX);
}

/** The answer's octets with this client's ID, flags and spelling of the name, and the time that passed. */
export function replyWith(answer: Answer, asked: ClientQuery, { age, ttl, error }: ReplyForm): Uint8Array {
  const { query, skim } = asked;
  const { body, ttlsAt } = answer;
  const option = errorOption(error);
  const room = optOctets(asked, option);
  if (body.length + room > octetsMax(asked)) return bareReply(asked, answer.rcode, error, FLAG.TC);
  const reply = Buffer.allocUnsafe(body.length + room);
  reply.set(body);
  reply[0] = query[0] as number;
  reply[1] = query[1] as number;
  // RFC 6840 §5.8: AD only to who asked for it.
  const wantsData = skim.edns?.dnssecOk === true || (skim.flags & FLAG.AD) !== 0;
  const flags =
    FLAG.QR | FLAG.RA | (skim.flags & (FLAG.RD | FLAG.CD)) | (answer.authenticData && wantsData ? FLAG.AD : 0);
  reply.writeUInt16BE(flags | answer.rcode, 2);
  for (let at = HEADER_OCTETS; at < skim.questionEnd; at += 1) reply[at] = query[at] as number;
  if (ttl !== null) for (const at of ttlsAt) reply.writeUInt32BE(Math.min(ttl, uint32(body, at)), at);
  else if (age > 0) for (const at of ttlsAt) reply.writeUInt32BE(Math.max(0, uint32(body, at) - age), at);
  if (room > 0) writeOpt(reply, body.length, asked, 0, option);
  return reply;
}

/** Header and question only: errors, and what is too long for a datagram. */
export function bareReply(asked: ClientQuery, rcode: number, error: ExtendedError | null, more = 0): Uint8Array {
  const { query, skim } = asked;
  const option = errorOption(error);
  const room = optOctets(asked, option);
  const reply = Buffer.alloc(skim.questionEnd + room);
  reply.set(query.subarray(0, skim.questionEnd));
  const kept = skim.flags & (FLAG.RD | FLAG.CD | 0x7800);
  reply.writeUInt16BE(FLAG.QR | FLAG.RA | kept | more | (rcode & 0xf), 2);
  reply.writeUInt16BE(1, 4);
  reply.fill(0, 6, HEADER_OCTETS);
  if (room > 0) writeOpt(reply, skim.questionEnd, asked, rcode >> 4, option);
  return reply;
}

/** To what is no query of one question. Null: there is not even a header to answer, or it is an answer itself. */
export function formatErrorReply(query: Uint8Array): Uint8Array | null {
  if (query.length < HEADER_OCTETS || (uint16(query, 2) & FLAG.QR) !== 0) return null;
  const reply = Buffer.alloc(HEADER_OCTETS);
  reply.set(query.subarray(0, 2));
  const opcode = uint16(query, 2) & 0x7800;
  const rcode = opcode === OPCODE.QUERY ? RCODE.FORMERR : RCODE.NOTIMP;
  reply.writeUInt16BE(FLAG.QR | FLAG.RA | (uint16(query, 2) & FLAG.RD) | opcode | rcode, 2);
  return reply;
}

function errorOption(error: ExtendedError | null): EdnsOption | null {
  return error === null ? null : extendedError(error.code, error.text);
}

function optOctets({ skim }: ClientQuery, option: EdnsOption | null): number {
  if (skim.edns === null) return 0;
  return RECORD_OCTETS_MIN + (option === null ? 0 : 4 + option.data.length);
}

/** The last record, and the only one among the additional. */
function writeOpt(
  reply: Buffer,
  at: number,
  { skim }: ClientQuery,
  rcodeHigh: number,
  option: EdnsOption | null,
): void {
  reply.writeUInt16BE(1, 10);
  reply[at] = 0;
  reply.writeUInt16BE(TYPE.OPT, at + 1);
  reply.writeUInt16BE(UDP_OCTETS_MAX, at + 3);
  reply[at + 5] = rcodeHigh;
  // RFC 6891 §6.1.3: the version that we have, whatever was asked for.
  reply[at + 6] = 0;
  reply.writeUInt16BE(skim.edns?.dnssecOk === true ? 0x8000 : 0, at + 7);
  reply.writeUInt16BE(option === null ? 0 : 4 + option.data.length, at + 9);
  if (option === null) return;
  reply.writeUInt16BE(option.code, at + 11);
  reply.writeUInt16BE(option.data.length, at + 13);
  reply.set(option.data, at + 15);
}
