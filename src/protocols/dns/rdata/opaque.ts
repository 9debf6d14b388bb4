import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";
import { MESSAGE_OCTETS_MAX, TYPE } from "../constants.ts";
import type { RecordData } from "../message.ts";
import type { Reader } from "../reader.ts";
import { Writer } from "../writer.ts";
import { fieldsOf, numberOf, RdataTextError } from "./text.ts";

type OpaqueData = Extract<RecordData, { kind: "opaque" }>;

/**
 * RFC 3597 §4: in these, names may come in compressed. What is before the first name, and between and after; a number is
 * that many octets, "string" is a character-string, "rest" all there is.
 */
const COMPRESSED: ReadonlyMap<number, readonly (number | "name" | "string" | "rest")[]> = new Map([
  [TYPE.MD, ["name"]], // RFC 1035 §3.3.4
  [TYPE.MF, ["name"]], // RFC 1035 §3.3.5
  [TYPE.MB, ["name"]], // RFC 1035 §3.3.3
  [TYPE.MG, ["name"]], // RFC 1035 §3.3.6
  [TYPE.MR, ["name"]], // RFC 1035 §3.3.8
  [TYPE.MINFO, ["name", "name"]], // RFC 1035 §3.3.7
  [TYPE.RP, ["name", "name"]], // RFC 1183 §2.2
  [TYPE.AFSDB, [2, "name"]], // RFC 1183 §1
  [TYPE.RT, [2, "name"]], // RFC 1183 §3.3
  [TYPE.SIG, [18, "name", "rest"]], // RFC 2535 §4.1
  [TYPE.PX, [2, "name", "name"]], // RFC 2163 §4
  [TYPE.NXT, ["name", "rest"]], // RFC 2535 §5.2
  [TYPE.NAPTR, [4, "string", "string", "string", "name"]], // RFC 3403 §4.1
  [TYPE.KX, [2, "name"]], // RFC 2230 §3.1
]);

/** Whether its form is known, and has more than no octets. */
export const hasNames = (type: number): boolean => COMPRESSED.has(type);

export function readOpaque(reader: Reader, type: number): OpaqueData {
  const layout = COMPRESSED.get(type);
  if (layout === undefined) return { kind: "opaque", bytes: reader.take(reader.end - reader.at) };
  const writer = new Writer("whole");
  for (const part of layout) {
    if (part === "name") {
      const { wire } = reader.name();
      reader.spend(wire.length);
      writer.wholeName(wire);
    } else if (part === "string") writer.string(reader.string());
    else writer.octets(reader.take(part === "rest" ? reader.end - reader.at : part));
  }
  if (writer.at > MESSAGE_OCTETS_MAX) reader.fault("RDATA that is too long without compression");
  return { kind: "opaque", bytes: writer.finish() };
}

const PREFIX = "\\#";

/** RFC 3597 §5. */
export function opaqueText(bytes: Uint8Array): string {
  return bytes.length === 0 ? `${PREFIX} 0` : `${PREFIX} ${bytes.length} ${bytesToHex(bytes)}`;
}

/** The octets of `\# LENGTH HEX`; null if the value is not written so. */
export function parseOpaque(text: string): Uint8Array | null {
  const [prefix, length = "", ...digits] = text.trimStart().startsWith(PREFIX) ? fieldsOf(text) : [];
  if (prefix !== PREFIX) return null;
  const hex = digits.join("");
  if (!/^(?:[0-9a-f]{2})*$/i.test(hex) || numberOf(length, MESSAGE_OCTETS_MAX) !== hex.length / 2) {
    throw new RdataTextError("the octets of \\# LENGTH HEX are not as many as it says");
  }
  return hexToBytes(hex);
}
