import { type DomainName, type NameKey, parseName } from "../../lib/domain-name.ts";
import { CLASS, HEADER_OCTETS, TYPE } from "./constants.ts";
import type { TsigRecord } from "./message.ts";
import { Writer } from "./writer.ts";

/** RFC 8945 §6: the one that must be there, and the only one here. */
export const HMAC_SHA256 = parseName("hmac-sha256") as DomainName;
export const MAC_OCTETS = 32;

/** RFC 8945 §5.3.1: of the messages of a stream after the first, only time and fudge are signed beside the octets. */
export type Variables = "all" | "timers";

/** What a TSIG record says beside whose it is: RFC 8945 §4.2. */
export type TsigFields = Pick<TsigRecord, "timeSigned" | "fudge" | "error" | "otherData">;

/** RFC 8945 §4.3: what came before, the message without its signature and with the ID it was signed with, and the record's fields. */
export function digestInput(
  bytes: Uint8Array,
  record: TsigRecord,
  before: Uint8Array,
  variables: Variables,
): Uint8Array {
  // Not `slice`: of what Node calls a Buffer it is no copy.
  const unsigned = new Uint8Array(bytes.subarray(0, record.offset));
  new DataView(unsigned.buffer).setUint16(0, record.originalId);
  countAdditional(unsigned, -1);
  return digestOf(before, unsigned, record.keyName.key, record, variables);
}

export function digestOf(
  before: Uint8Array,
  unsigned: Uint8Array,
  keyName: NameKey,
  fields: TsigFields,
  variables: Variables,
): Uint8Array {
  const writer = new Writer("whole");
  writer.octets(before);
  writer.octets(unsigned);
  if (variables === "all") {
    writer.wholeName(keyName);
    writer.u16(CLASS.ANY);
    writer.u32(0);
    writer.wholeName(HMAC_SHA256.key);
  }
  writer.u48(fields.timeSigned);
  writer.u16(fields.fudge);
  if (variables === "all") {
    writer.u16(fields.error);
    writer.u16(fields.otherData.length);
    writer.octets(fields.otherData);
  }
  return writer.finish();
}

function countAdditional(bytes: Uint8Array, more: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint16(HEADER_OCTETS - 2, view.getUint16(HEADER_OCTETS - 2) + more);
}

/** RFC 8945 §5.3.1 and §5.4.1: a MAC goes into the next digest with its length. */
export function macBefore(mac: Uint8Array): Uint8Array {
  return Uint8Array.of(mac.length >>> 8, mac.length & 0xff, ...mac);
}

/** The message with a TSIG record at its end. */
export function withRecord(
  bytes: Uint8Array,
  names: Pick<TsigRecord, "keyName" | "algorithm">,
  fields: TsigFields,
  mac: Uint8Array,
): Uint8Array {
  const writer = new Writer("whole");
  writer.octets(bytes);
  writer.name(names.keyName);
  writer.u16(TYPE.TSIG);
  writer.u16(CLASS.ANY);
  writer.u32(0);
  writer.data(() => {
    writer.name(names.algorithm);
    writer.u48(fields.timeSigned);
    writer.u16(fields.fudge);
    writer.u16(mac.length);
    writer.octets(mac);
    writer.octets(bytes.subarray(0, 2));
    writer.u16(fields.error);
    writer.u16(fields.otherData.length);
    writer.octets(fields.otherData);
  });
  const signed = writer.finish();
  countAdditional(signed, 1);
  return signed;
}

export function u48(value: number): Uint8Array {
  const writer = new Writer("whole");
  writer.u48(value);
  return writer.finish();
}
