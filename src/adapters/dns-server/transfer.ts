import { CLASS, MESSAGE_OCTETS_MAX } from "../../protocols/dns/constants.ts";
import { encodeMessage } from "../../protocols/dns/encode.ts";
import type { DnsRecord, Question } from "../../protocols/dns/message.ts";
import { transferOf } from "./authority.ts";
import type { Asked } from "./exchange.ts";
import { replyTo } from "./reply.ts";
import type { ZoneData } from "./zone-data.ts";

/** Records a message: the largest of ours, with names uncompressed, make less than 64 KiB of it. */
const RECORDS_PER_MESSAGE = 100;

/**
 * AXFR (RFC 5936), and IXFR as RFC 1995 §4 lets a server answer that keeps no differences: with all of the zone. Null if
 * it is no zone of this view.
 */
export function transferReplies(asked: Asked, question: Question, zones: ZoneData): Uint8Array[] | null {
  const records = question.class === CLASS.IN ? transferOf(zones, asked.view, question.name) : null;
  if (records === null) return null;
  const room = asked.signing.kind === "verified" ? asked.signing.room : 0;
  return chunks(records).map((answers) => {
    const reply = replyTo(asked.request, { rcode: 0, answers, authoritative: true });
    return encodeMessage(reply, { limit: MESSAGE_OCTETS_MAX, room });
  });
}

function chunks(records: readonly DnsRecord[]): DnsRecord[][] {
  const all: DnsRecord[][] = [];
  for (let at = 0; at < records.length; at += RECORDS_PER_MESSAGE)
    all.push(records.slice(at, at + RECORDS_PER_MESSAGE));
  return all;
}
