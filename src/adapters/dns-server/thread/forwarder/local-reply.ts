import { CLASS, HEADER_OCTETS, RCODE, TYPE } from "../../../../protocols/dns/constants.ts";
import { FLAG } from "../../../../protocols/dns/skim.ts";
import type { Answer } from "./digest.ts";
import type { LocalAnswer } from "./special-names.ts";

/** Short: an operator may make a zone of such a name at any time. RFC 6303 §3 has three hours, for servers of others. */
const TTL = 300;
/** RFC 8482 §4.2. */
const MINIMAL = "\u0007RFC8482\u0000";

/** The answer to a question with these octets, as if an upstream had given it. */
export function localReply(local: LocalAnswer, question: Uint8Array): Answer {
  switch (local.kind) {
    case "address":
      return answerOf(question, [{ name: "\u00c0\u000c", ...loopback(local.type) }], []);
    case "apex-soa":
      return answerOf(question, [soaOf(local.apex)], []);
    case "apex-ns":
      // RFC 6303 §3: the zone's only server is the zone itself.
      return answerOf(question, [{ name: local.apex, type: TYPE.NS, data: local.apex }], []);
    case "no-data":
      return answerOf(question, [], [soaOf(local.apex)]);
    case "no-name":
      return answerOf(question, [], [soaOf(local.apex)], RCODE.NXDOMAIN);
    default:
      return local satisfies never;
  }
}

/** To ANY by a datagram: one small record, whatever there is (RFC 8482 §4.2). */
export function minimalReply(question: Uint8Array): Answer {
  return answerOf(question, [{ name: "\u00c0\u000c", type: TYPE.HINFO, data: MINIMAL }], []);
}

interface LocalRecord {
  /** Wire form. */
  readonly name: string;
  readonly type: number;
  readonly data: string;
}

const loopback = (type: "A" | "AAAA"): Omit<LocalRecord, "name"> =>
  type === "A"
    ? { type: TYPE.A, data: "\u007f\u0000\u0000\u0001" }
    : { type: TYPE.AAAA, data: `${"\u0000".repeat(15)}\u0001` };

/** RFC 6303 §3: "@ nobody.invalid. 1 3600 1200 604800 …". */
const soaOf = (apex: string): LocalRecord => ({
  name: apex,
  type: TYPE.SOA,
  data: `${apex}\u0006nobody\u0007invalid\u0000${[1, 3600, 1200, 604_800, TTL].map(octets32).join("")}`,
});

const octets16 = (value: number): string => String.fromCharCode(value >> 8, value & 0xff);
const octets32 = (value: number): string => octets16(value >>> 16) + octets16(value & 0xffff);

function answerOf(
  question: Uint8Array,
  answers: readonly LocalRecord[],
  authorities: readonly LocalRecord[],
  rcode: number = RCODE.NOERROR,
): Answer {
  const ttlsAt: number[] = [];
  let records = "";
  const start = HEADER_OCTETS + question.length;
  for (const { name, type, data } of [...answers, ...authorities]) {
    ttlsAt.push(start + records.length + name.length + 4);
    records += name + octets16(type) + octets16(CLASS.IN) + octets32(TTL) + octets16(data.length) + data;
  }
  const counts = [FLAG.QR | FLAG.RA | rcode, 1, answers.length, authorities.length, 0];
  const body = Buffer.concat([
    Buffer.from(`\0\0${counts.map(octets16).join("")}`, "latin1"),
    question,
    Buffer.from(records, "latin1"),
  ]);
  return { body, ttlsAt: Uint16Array.from(ttlsAt), ttl: 0, rcode, authenticData: false, coversName: false };
}
