import { bytesToHex } from "@noble/hashes/utils.js";
import { formatName, parseName } from "../../../lib/domain-name.ts";
import type { DnsRecordText } from "../../../lib/dns-record.ts";
import { CLASS, isMetaType, TYPE, typeName, typeNumber } from "../constants.ts";
import { DnsDecodeError } from "../error.ts";
import type { DnsRecord, RecordData } from "../message.ts";
import { Reader } from "../reader.ts";
import { Writer } from "../writer.ts";
import { A, AAAA } from "./address.ts";
import type { RdataCodec } from "./codec.ts";
import { MX, SOA, SRV, targetCodec } from "./host-name.ts";
import { hasNames, opaqueText, parseOpaque, readOpaque } from "./opaque.ts";
import { serviceCodec } from "./svcb.ts";
import { CAA, TXT } from "./string.ts";
import { FieldReader, RdataTextError } from "./text.ts";

export { RdataTextError } from "./text.ts";

/** A codec is only given the data it makes: the type chooses it, and `RecordData` says that the kind is the type's name. */
const CODECS = new Map(
  Object.entries({
    A,
    AAAA,
    NS: targetCodec("NS"),
    CNAME: targetCodec("CNAME"),
    PTR: targetCodec("PTR"),
    SOA,
    MX,
    TXT,
    SRV,
    CAA,
    SVCB: serviceCodec("SVCB"),
    HTTPS: serviceCodec("HTTPS"),
  }).map(([kind, codec]) => [TYPE[kind as keyof typeof TYPE] as number, codec as unknown as RdataCodec<RecordData>]),
);

/** Whether there is no RDATA of the type without an octet. */
export const needsData = (type: number): boolean => CODECS.has(type) || hasNames(type);

const EMPTY: RecordData = { kind: "empty" };

/** All of the RDATA, from where the reader is to its end. */
export function readRdata(reader: Reader, type: number, recordClass: number): RecordData {
  const without = recordClass === CLASS.ANY || recordClass === CLASS.NONE;
  if (without && reader.at === reader.end) return EMPTY;
  // RDATA of other classes has a form of its own (CH A: RFC 1035 §3.3); in class NONE it is that of the zone's class.
  const known = recordClass === CLASS.IN || recordClass === CLASS.NONE;
  const codec = known ? CODECS.get(type) : undefined;
  if (codec === undefined) {
    return known ? readOpaque(reader, type) : { kind: "opaque", bytes: reader.take(reader.end - reader.at) };
  }
  const data = codec.read(reader);
  if (reader.at !== reader.end) reader.fault(`${typeName(type)} data of another length than it says`);
  return data;
}

export function writeRdata(writer: Writer, type: number, data: RecordData): void {
  if (data.kind === "opaque") writer.octets(data.bytes);
  else if (data.kind !== "empty") CODECS.get(type)?.write(writer, data);
}

/** Presentation form, canonical: of two that are the same, the texts are the same but for the case of names. */
export function rdataText(type: number, data: RecordData): string {
  if (data.kind === "opaque") return opaqueText(data.bytes);
  return data.kind === "empty" ? "" : (CODECS.get(type)?.text(data) ?? "");
}

/** What `rdataText` gives, and what people write. Throws nothing but `RdataTextError`. */
export function rdataFromText(type: number, text: string): RecordData {
  if (isMetaType(type)) throw new RdataTextError(`${typeName(type)} is no type that a record could be stored with`);
  const octets = parseOpaque(text);
  if (octets !== null) return rdataOfOctets(type, octets);
  const codec = CODECS.get(type);
  if (codec === undefined) {
    throw new RdataTextError(`the value of ${typeName(type)} is written as its octets: \\# LENGTH HEX`);
  }
  const fields = new FieldReader(type === TYPE.TXT ? quoted(text) : text, codec.form);
  const data = codec.parse(fields);
  fields.end();
  return data;
}

/** Text without a quote is one string and not one for each word: whoever writes `v=spf1 -all` means that. */
function quoted(text: string): string {
  return text.trim() === "" || text.trimStart().startsWith('"') ? text : `"${text.replaceAll(/["\\]/g, "\\$&")}"`;
}

function rdataOfOctets(type: number, octets: Uint8Array): RecordData {
  if (!CODECS.has(type)) return { kind: "opaque", bytes: octets };
  const reader = new Reader(octets);
  try {
    const data = readRdata(reader, type, CLASS.IN);
    const writer = new Writer("whole");
    writeRdata(writer, type, data);
    // Written whole it is the same again, unless there was a pointer: to what, in octets that stand alone?
    if (bytesToHex(writer.finish()) === bytesToHex(octets)) return data;
  } catch (error) {
    if (!(error instanceof DnsDecodeError)) throw error;
  }
  throw new RdataTextError(`these octets are no ${typeName(type)} record`);
}

/** A record of class IN. */
export function recordText({ name, type, ttl, data }: DnsRecord): DnsRecordText {
  return { name: formatName(name.key), type: typeName(type), ttl, value: rdataText(type, data) };
}

/** What `recordText` gives, as octets again. Throws nothing but `RdataTextError`. */
export function recordFromText({ name, type, ttl, value }: DnsRecordText): DnsRecord {
  const [parsed, number] = [parseName(name), typeNumber(type)];
  if (parsed === null) throw new RdataTextError(`"${name}" is no domain name`);
  if (number === null) throw new RdataTextError(`"${type}" is no type of record`);
  return { name: parsed, type: number, class: CLASS.IN, ttl, data: rdataFromText(number, value) };
}
