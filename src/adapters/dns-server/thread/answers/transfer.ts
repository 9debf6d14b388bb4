import { CLASS, MESSAGE_OCTETS_MAX } from "../../../../protocols/dns/constants.ts";
import { encodeMessage } from "../../../../protocols/dns/encode.ts";
import type { DnsRecord, Question } from "../../../../protocols/dns/message.ts";
import { FLAG, uint16 } from "../../../../protocols/dns/skim.ts";
import { transferOf } from "../zones/authority.ts";
import type { Asked } from "./exchange.ts";
import { replyTo } from "./reply.ts";
import type { ZoneData } from "../zones/zone-data.ts";

export interface Transfer {
  readonly replies: readonly Uint8Array[];
  /** In all of them. */
  readonly records: number;
}

/** A message: what is more than 64 KiB of long texts is halved until it fits. */
const RECORDS_PER_MESSAGE = 100;

/**
 * AXFR (RFC 5936), and IXFR as RFC 1995 §4 lets a server answer that keeps no differences: with all of the zone. Null if
 * it is no zone of this view.
 */
export function transferReplies(asked: Asked, question: Question, zones: ZoneData): Transfer | null {
  const records = question.class === CLASS.IN ? transferOf(zones, asked.view, question.name) : null;
  if (records === null) return null;
  const room = asked.signing.kind === "verified" ? asked.signing.room : 0;
  const messagesOf = (answers: readonly DnsRecord[]): Uint8Array[] => {
    const reply = replyTo(asked.request, { rcode: 0, answers, authoritative: true });
    const bytes = encodeMessage(reply, { limit: MESSAGE_OCTETS_MAX, room });
    if (answers.length < 2 || (uint16(bytes, 2) & FLAG.TC) === 0) return [bytes];
    const middle = answers.length >>> 1;
    return [...messagesOf(answers.slice(0, middle)), ...messagesOf(answers.slice(middle))];
  };
  return { replies: chunks(records).flatMap(messagesOf), records: records.length };
}

function chunks(records: readonly DnsRecord[]): DnsRecord[][] {
  const all: DnsRecord[][] = [];
  for (let at = 0; at < records.length; at += RECORDS_PER_MESSAGE)
    all.push(records.slice(at, at + RECORDS_PER_MESSAGE));
  return all;
}
