import { decodeMessage } from "../../src/protocols/dns/decode.ts";
import { RCODE, TSIG_ERROR, TYPE } from "../../src/protocols/dns/constants.ts";
import { DnsDecodeError } from "../../src/protocols/dns/error.ts";
import type { DnsRecord, OpenMessage } from "../../src/protocols/dns/message.ts";
import { recordText } from "../../src/protocols/dns/rdata/index.ts";
import { type TsigKey, verifyResponse } from "../../src/protocols/dns/tsig.ts";
import type { Asked } from "./dns-differential-signing.ts";

export type PeerName = "named" | "knotd";

export interface Difference {
  readonly exchange: string;
  readonly peer: PeerName;
  readonly field: string;
  readonly ours: string;
  readonly theirs: string;
}

/** What an answer says, by field. The TTLs are compared where the records are the same. */
export type Reading = ReadonlyMap<string, string>;

export function readingOf(reply: string | null, asked: Asked, key: TsigKey, now: number): Reading {
  if (reply === null) return new Map([["reply", "none"]]);
  const bytes = Buffer.from(reply, "hex");
  const open = opened(bytes);
  if (open === null) return new Map([["reply", "malformed"]]);
  const { message } = open;
  const sameId = message.id === ((asked.bytes[0] ?? 0) << 8) + (asked.bytes[1] ?? 0);
  return new Map([
    ["reply", sameId && message.response ? "answer" : "no answer to this"],
    ["rcode", named(RCODE, message.rcode)],
    ["opcode", String(message.opcode)],
    ["flags", flagsOf(message)],
    ["questions", String(message.questions.length)],
    ["tsig", signatureOf(bytes, open, asked, key, now)],
    ["answers", records(message.answers)],
    ["ttls", ttls(message.answers)],
    ["authorities", records(message.authorities)],
    ["additionals", records(message.additionals)],
  ]);
}

/** Null for an answer that says it has more than there is in it. */
function opened(bytes: Uint8Array): OpenMessage | null {
  try {
    return decodeMessage(bytes);
  } catch (cause) {
    if (cause instanceof DnsDecodeError) return null;
    throw cause;
  }
}

const named = (names: Readonly<Record<string, number>>, number: number): string =>
  Object.keys(names).find((name) => names[name] === number) ?? String(number);

function flagsOf(message: OpenMessage["message"]): string {
  const flags = {
    aa: message.authoritative,
    tc: message.truncated,
    rd: message.recursionDesired,
    ra: message.recursionAvailable,
    ad: message.authenticData,
    cd: message.checkingDisabled,
  };
  return Object.entries(flags)
    .filter(([, set]) => set)
    .map(([name]) => name)
    .join(" ");
}

/** "signed" is a signature that verifies; an error's name, whether it is signed. */
function signatureOf(bytes: Uint8Array, { tsig }: OpenMessage, asked: Asked, key: TsigKey, now: number): string {
  if (tsig === null) return "none";
  const error = tsig.error === 0 ? "" : named(TSIG_ERROR, tsig.error);
  if (tsig.mac.length === 0) return `${error} unsigned`;
  const verdict = verifyResponse(bytes, tsig, { key, mac: asked.mac }, tsig.timeSigned);
  const late = error !== "BADTIME" && Math.abs(now - tsig.timeSigned) > 300 ? " late" : "";
  return `${error} ${verdict.kind === "verified" ? "signed" : "with a wrong MAC"}${late}`.trim();
}

/** The serial is each server's own. */
const textOf = (record: DnsRecord): string => {
  const { name, type, value } = recordText(record);
  const fields = value.split(" ");
  return `${name} ${type} ${record.type === TYPE.SOA ? [...fields.slice(0, 2), ...fields.slice(3)].join(" ") : value}`;
};
const records = (all: readonly DnsRecord[]): string => all.map(textOf).sort().join("; ").toLowerCase();
const ttls = (all: readonly DnsRecord[]): string =>
  all
    .map((each) => `${textOf(each)} ${each.ttl}`)
    .sort()
    .map((line) => line.slice(line.lastIndexOf(" ") + 1))
    .join(" ");

export function differencesOf(exchange: string, peer: PeerName, ours: Reading, theirs: Reading): Difference[] {
  const found: Difference[] = [];
  for (const field of new Set([...ours.keys(), ...theirs.keys()])) {
    const [left, right] = [ours.get(field), theirs.get(field)];
    if (left === undefined || right === undefined || left === right) continue;
    if (field === "ttls" && ours.get("answers") !== theirs.get("answers")) continue;
    found.push({ exchange, peer, field, ours: left, theirs: right });
  }
  return found;
}
