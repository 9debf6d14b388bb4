import { assert } from "../../lib/assert.ts";
import { MESSAGE_OCTETS_MAX, RCODE, RECORD_OCTETS_MIN, TYPE } from "./constants.ts";
import type { DnsRecord, Edns, Message } from "./message.ts";
import { writeRdata } from "./rdata/index.ts";
import { Writer } from "./writer.ts";

export interface Size {
  /** Octets the whole message may have: over UDP what the client takes. */
  readonly limit: number;
  /** Octets of these to leave free for a TSIG record; 0 if it will not be signed. */
  readonly room: number;
}

const COUNTS_AT = 4;
const WHOLE: Size = { limit: MESSAGE_OCTETS_MAX, room: 0 };

/**
 * Names are compressed where RFC 3597 §4 lets them. What does not fit: additional records go without a word (RFC 2181 §9);
 * if answers or authorities do not fit, none are sent and TC is set, as half an RRset is worth nothing.
 */
export function encodeMessage(message: Message, size: Size = WHOLE): Uint8Array {
  const most = Math.min(size.limit, MESSAGE_OCTETS_MAX) - size.room - optOctets(message.edns);
  const writer = new Writer();
  writeHeader(writer, message);
  const counts = [message.questions.length, message.answers.length, message.authorities.length, 0];
  for (const { name, type, class: questionClass } of message.questions) {
    writer.name(name);
    writer.u16(type);
    writer.u16(questionClass);
  }
  assert(writer.at <= most, "a question fits into every message");
  const afterQuestion = writer.at;
  const fits = writeRecords(writer, message.answers, most) && writeRecords(writer, message.authorities, most);
  if (fits) counts[3] = writeAdditionals(writer, message.additionals, most);
  else truncate(writer, message, afterQuestion, counts, size.room > 0);
  if (message.edns !== null) writeOpt(writer, message.edns, fits || size.room === 0 ? message.rcode : RCODE.NOERROR);
  if (message.edns !== null) counts[3] = (counts[3] ?? 0) + 1;
  for (const [index, count] of counts.entries()) writer.patchU16(COUNTS_AT + 2 * index, count);
  return writer.finish();
}

function writeHeader(writer: Writer, message: Message): void {
  writer.u16(message.id);
  writer.u8(
    (message.response ? 0x80 : 0) |
      (message.opcode << 3) |
      (message.authoritative ? 0x04 : 0) |
      (message.truncated ? 0x02 : 0) |
      (message.recursionDesired ? 0x01 : 0),
  );
  writer.u8(
    (message.recursionAvailable ? 0x80 : 0) |
      (message.authenticData ? 0x20 : 0) |
      (message.checkingDisabled ? 0x10 : 0) |
      (message.rcode & 0x0f),
  );
  writer.u32(0);
  writer.u32(0);
}

function truncate(writer: Writer, message: Message, end: number, counts: number[], signed: boolean): void {
  writer.rewind(end);
  counts.fill(0, 1);
  // RFC 8945 §5.3: what is cut for its signature says NOERROR.
  const header = { ...message, truncated: true, rcode: signed ? RCODE.NOERROR : message.rcode };
  writer.rewriteStart(() => writeHeader(writer, header));
}

/** Whether all of them fit. */
function writeRecords(writer: Writer, records: readonly DnsRecord[], most: number): boolean {
  return records.every((record) => {
    writeRecord(writer, record);
    return writer.at <= most;
  });
}

/** How many of them fit: whole RRsets, as far as they stand together. */
function writeAdditionals(writer: Writer, records: readonly DnsRecord[], most: number): number {
  let [kept, end] = [0, writer.at];
  for (const [index, record] of records.entries()) {
    const next = records[index + 1];
    writeRecord(writer, record);
    if (writer.at > most) break;
    if (next?.name.key === record.name.key && next.type === record.type) continue;
    [kept, end] = [index + 1, writer.at];
  }
  if (kept < records.length) writer.rewind(end);
  return kept;
}

function writeRecord(writer: Writer, { name, type, class: recordClass, ttl, data }: DnsRecord): void {
  writer.name(name);
  writer.u16(type);
  writer.u16(recordClass);
  writer.u32(ttl);
  writer.data(() => writeRdata(writer, type, data));
}

function optOctets(edns: Edns | null): number {
  return edns === null ? 0 : edns.options.reduce((sum, { data }) => sum + 4 + data.length, RECORD_OCTETS_MIN);
}

/** RFC 6891 §6.1.2. */
function writeOpt(writer: Writer, { udpOctets, version, dnssecOk, options }: Edns, rcode: number): void {
  writer.u8(0);
  writer.u16(TYPE.OPT);
  writer.u16(udpOctets);
  writer.u8(rcode >>> 4);
  writer.u8(version);
  writer.u16(dnssecOk ? 0x8000 : 0);
  writer.data(() => {
    for (const { code, data } of options) {
      writer.u16(code);
      writer.u16(data.length);
      writer.octets(data);
    }
  });
}
