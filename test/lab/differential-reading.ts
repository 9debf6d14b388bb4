import type { Exchange } from "./differential-exchanges.ts";

/** What a reply says, as far as two right servers would say the same: no epoch, no port that a server may choose. */
export type Reading = Readonly<Record<string, string>>;

/** A field on which the two differ, ours first. */
export interface Difference {
  readonly exchange: string;
  readonly field: string;
  readonly ours: string;
  readonly theirs: string;
}

const PCP_RESULTS = [
  "SUCCESS",
  "UNSUPP_VERSION",
  "NOT_AUTHORIZED",
  "MALFORMED_REQUEST",
  "UNSUPP_OPCODE",
  "UNSUPP_OPTION",
  "MALFORMED_OPTION",
  "NETWORK_FAILURE",
  "NO_RESOURCES",
  "UNSUPP_PROTOCOL",
  "USER_EX_QUOTA",
  "CANNOT_PROVIDE_EXTERNAL",
  "ADDRESS_MISMATCH",
  "EXCESSIVE_REMOTE_PEERS",
]; // RFC 6887 §7.4
const NATPMP_RESULTS = [
  "SUCCESS",
  "UNSUPPORTED_VERSION",
  "NOT_AUTHORIZED",
  "NETWORK_FAILURE",
  "OUT_OF_RESOURCES",
  "UNSUPPORTED_OPCODE",
]; // RFC 6886 §3.5

export function differencesOf({ id, bytes }: Exchange, ours: string | null, theirs: string | null): Difference[] {
  const [left, right] = [read(bytes, ours), read(bytes, theirs)];
  const fields = ["reply", "result", ...new Set([...Object.keys(left), ...Object.keys(right)])];
  const differing = [...new Set(fields)].filter((field) => left[field] !== right[field]);
  // Another kind of reply, or another result, has other fields altogether.
  const telling = ["reply", "result"].find((field) => differing.includes(field));
  return (telling === undefined ? differing : [telling]).map((field) => {
    return { exchange: id, field, ours: left[field] ?? "absent", theirs: right[field] ?? "absent" };
  });
}

export function read(request: Buffer, hex: string | null): Reading {
  if (hex === null) return { reply: "none" };
  const reply = Buffer.from(hex, "hex");
  return reply[0] === 0 ? readNatPmp(request, reply) : readPcp(request, reply);
}

/** RFC 6887 §7.2, §11.1. */
function readPcp(request: Buffer, reply: Buffer): Reading {
  if (reply.length < 24) return { reply: `pcp of ${reply.length} octets` };
  const result = PCP_RESULTS[reply[3] ?? -1] ?? `result ${reply[3]}`;
  const head = { reply: "pcp", version: String(reply[0]), opcode: opcodeOf(request, reply), result };
  const lifetime = reply.readUInt32BE(4);
  if (result !== "SUCCESS") {
    const length = Math.max(24, (Math.min(request.length, 1100) + 3) & ~3);
    return {
      ...head,
      lifetime: lifetime === 0 ? "0" : lifetime <= 300 ? "short" : "long",
      length: reply.length === length ? "the request's, padded" : String(reply.length),
      body: same(request.subarray(24), reply.subarray(24)),
    };
  }
  if (reply.length < 60) return { ...head, lifetime: String(lifetime), length: String(reply.length) };
  return {
    ...head,
    lifetime: lifetimeText(lifetime, request.readUInt32BE(4)),
    nonce: same(request.subarray(24, 36), reply.subarray(24, 36)),
    protocol: same(request.subarray(36, 37), reply.subarray(36, 37)),
    reserved: reply.subarray(37, 40).every((octet) => octet === 0) ? "zero" : "not zero",
    internalPort: same(request.subarray(40, 42), reply.subarray(40, 42)),
    externalPort: portText(reply.readUInt16BE(42), request.readUInt16BE(42)),
    externalAddress: reply.subarray(44, 60).equals(request.subarray(44, 60)) ? "the request's" : addressText(reply),
    options: optionsText(request.subarray(60), reply.subarray(60)),
  };
}

/** RFC 6886 §3.2, §3.3, §3.5. */
function readNatPmp(request: Buffer, reply: Buffer): Reading {
  if (reply.length < 8) return { reply: `natpmp of ${reply.length} octets` };
  const code = reply.readUInt16BE(2);
  const head = {
    reply: "natpmp",
    opcode: opcodeOf(request, reply),
    result: NATPMP_RESULTS[code] ?? `result ${code}`,
    length: String(reply.length),
  };
  if (code === 1 || code === 5) return head;
  if (reply.length === 12) return { ...head, address: [...reply.subarray(8)].join(".") };
  if (reply.length !== 16 || request.length < 12) return head;
  return {
    ...head,
    internalPort: same(request.subarray(4, 6), reply.subarray(8, 10)),
    externalPort: portText(reply.readUInt16BE(10), request.readUInt16BE(6)),
    lifetime: lifetimeText(reply.readUInt32BE(12), request.readUInt32BE(8)),
  };
}

const opcodeOf = (request: Buffer, reply: Buffer): string => {
  const asked = (request[1] ?? 0) | 0x80;
  return reply[1] === asked ? "the request's, as a response" : String(reply[1]);
};

const same = (request: Buffer, reply: Buffer): string => {
  if (request.equals(reply)) return "the request's";
  const padded =
    reply.subarray(0, request.length).equals(request) && reply.subarray(request.length).every((octet) => octet === 0);
  return padded ? "the request's, padded" : "another";
};

/** RFC 6887 §5. */
const addressText = (reply: Buffer): string =>
  reply.subarray(44, 56).toString("hex") === "00000000000000000000ffff"
    ? [...reply.subarray(56, 60)].join(".")
    : reply.subarray(44, 60).toString("hex");

function optionsText(asked: Buffer, answered: Buffer): string {
  if (answered.length === 0) return "none";
  return answered.equals(asked) ? "the request's" : answered.toString("hex");
}

function lifetimeText(granted: number, asked: number): string {
  return granted === asked ? "as asked" : String(granted);
}

function portText(given: number, suggested: number): string {
  if (given === 0) return "0";
  if (suggested === 0) return "chosen";
  return given === suggested ? "as suggested" : "another";
}
