// PCP (RFC 6887) and NAT-PMP (RFC 6886) bytes, written from the RFCs and not from our codec: the lab's oracle for it.
import { randomBytes } from "node:crypto";

export const PORT = 5351; // RFC 6887 §19.1
export const PROTOCOLS = { tcp: 6, udp: 17 };
const MAP_OPCODE = 1; // RFC 6887 §19.2
const RESPONSE = 0x80; // the R bit, RFC 6887 §7.2

/** RFC 6887 §5: 16 octets, of IPv4 mapped. @param {string} address */
function octets(address) {
  if (!address.includes(":")) {
    return Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...address.split(".").map(Number)]);
  }
  const [head = [], tail = []] = address.split("::").map((half) => half.split(":").filter(Boolean));
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => "0");
  const bytes = Buffer.alloc(16);
  for (const [index, group] of [...head, ...zeros, ...tail].entries()) {
    bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2);
  }
  return bytes;
}

/** @param {Buffer} bytes */
function addressOf(bytes) {
  if (bytes.subarray(0, 12).equals(octets("0.0.0.0").subarray(0, 12))) return [...bytes.subarray(12, 16)].join(".");
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  // As the URL standard shortens it, which is RFC 5952's way.
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

/**
 * @typedef {object} MapRequest
 * @property {string} client
 * @property {"tcp" | "udp"} protocol
 * @property {number} internalPort
 * @property {number} lifetime
 * @property {string} [nonce] 24 hex digits; random if left out
 * @property {number} [suggestedPort]
 * @property {string} [suggestedAddress]
 * @property {string} [options] hex, appended as it is
 */

export function newNonce() {
  return randomBytes(12).toString("hex");
}

/** RFC 6887 §7.1 and §11.1. @param {MapRequest} request */
export function encodeMap(request) {
  const bytes = Buffer.alloc(60);
  bytes[0] = 2;
  bytes[1] = MAP_OPCODE;
  bytes.writeUInt32BE(request.lifetime, 4);
  octets(request.client).copy(bytes, 8);
  Buffer.from(request.nonce ?? newNonce(), "hex").copy(bytes, 24);
  bytes[36] = PROTOCOLS[request.protocol];
  bytes.writeUInt16BE(request.internalPort, 40);
  bytes.writeUInt16BE(request.suggestedPort ?? 0, 42);
  octets(request.suggestedAddress ?? (request.client.includes(":") ? "::" : "0.0.0.0")).copy(bytes, 44);
  return Buffer.concat([bytes, Buffer.from(request.options ?? "", "hex")]);
}

/** RFC 6887 §14.1. @param {string} client */
export function encodeAnnounce(client) {
  return Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 0, 0, 0]), octets(client)]);
}

/** RFC 6886 §3.3: opcode 1 is UDP, 2 is TCP. @param {Omit<MapRequest, "client">} request */
export function encodeNatPmpMap(request) {
  const bytes = Buffer.alloc(12);
  bytes[1] = request.protocol === "udp" ? 1 : 2;
  bytes.writeUInt16BE(request.internalPort, 4);
  bytes.writeUInt16BE(request.suggestedPort ?? 0, 6);
  bytes.writeUInt32BE(request.lifetime, 8);
  return bytes;
}

/** RFC 6886 §3.2 */
export const NATPMP_ADDRESS_REQUEST = Buffer.from([0, 0]);

/**
 * @typedef {object} Reply
 * @property {number} version
 * @property {number} opcode
 * @property {number} result
 * @property {number} epoch
 * @property {number} lifetime
 * @property {string} [nonce]
 * @property {number} [protocol]
 * @property {number} [internalPort]
 * @property {number} [externalPort]
 * @property {string} [externalAddress]
 * @property {string} [options] hex
 * @property {number} length
 */

/** @param {Buffer} bytes @returns {Reply | null} null: not a response to anything we send */
export function decodeReply(bytes) {
  if (bytes.length < 8 || ((bytes[1] ?? 0) & RESPONSE) === 0) return null;
  return bytes[0] === 0 ? decodeNatPmp(bytes) : decodePcp(bytes);
}

/** @param {Buffer} bytes @returns {Reply} */
function decodeNatPmp(bytes) {
  const reply = {
    version: 0,
    opcode: (bytes[1] ?? 0) & 0x7f,
    result: bytes.readUInt16BE(2),
    epoch: bytes.readUInt32BE(4),
    lifetime: 0,
    length: bytes.length,
  };
  if (reply.opcode === 0 && bytes.length >= 12) {
    return { ...reply, externalAddress: [...bytes.subarray(8, 12)].join(".") };
  }
  if (bytes.length < 16) return reply;
  return {
    ...reply,
    protocol: reply.opcode === 1 ? PROTOCOLS.udp : PROTOCOLS.tcp,
    internalPort: bytes.readUInt16BE(8),
    externalPort: bytes.readUInt16BE(10),
    lifetime: bytes.readUInt32BE(12),
  };
}

/** RFC 6887 §7.2 and §11.1 @param {Buffer} bytes @returns {Reply | null} */
function decodePcp(bytes) {
  if (bytes.length < 24) return null;
  const reply = {
    version: bytes[0] ?? 0,
    opcode: (bytes[1] ?? 0) & 0x7f,
    result: bytes[3] ?? 0,
    lifetime: bytes.readUInt32BE(4),
    epoch: bytes.readUInt32BE(8),
    length: bytes.length,
  };
  if (reply.opcode !== MAP_OPCODE || bytes.length < 60) return reply;
  return {
    ...reply,
    nonce: bytes.subarray(24, 36).toString("hex"),
    protocol: bytes[36] ?? 0,
    internalPort: bytes.readUInt16BE(40),
    externalPort: bytes.readUInt16BE(42),
    externalAddress: addressOf(bytes.subarray(44, 60)),
    options: bytes.subarray(60).toString("hex"),
  };
}

/**
 * RFC 6887 §13.3; port 0 is any, and a length of 0 clears what was before.
 * @param {string} address
 * @param {number} length as of its family: of IPv4 32 is one host
 */
export function filterOption(address, length, port = 0) {
  const bytes = Buffer.from([3, 0, 0, 20, 0, address.includes(":") ? length : 96 + length, 0, 0]);
  bytes.writeUInt16BE(port, 6);
  return Buffer.concat([bytes, octets(address)]).toString("hex");
}

export const FILTER_CLEAR = `03000014${"00".repeat(20)}`;

/**
 * HOSTNAME, option 224 of private use: the name alone, padded to four octets.
 * @param {string} name
 */
export function hostnameOption(name) {
  const bytes = Buffer.from(name);
  const padding = "00".repeat((4 - (bytes.length % 4)) % 4);
  return `e000${bytes.length.toString(16).padStart(4, "0")}${bytes.toString("hex")}${padding}`;
}

/** RFC 7753 §4.1. @param {number} size @param {number} firstInternalPort */
export function portSetOption(size, firstInternalPort) {
  const bytes = Buffer.from([130, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0]);
  bytes.writeUInt16BE(size, 4);
  bytes.writeUInt16BE(firstInternalPort, 6);
  return bytes.toString("hex");
}

/**
 * RFC 6887 §8.5: whether `next` may follow `previous`, both as {epoch, at}, `at` in seconds of the client's clock.
 * @param {{ epoch: number; at: number } | null} previous
 * @param {{ epoch: number; at: number }} next
 */
export function epochIsValid(previous, next) {
  if (previous === null) return true;
  if (next.epoch < previous.epoch - 1) return false;
  const client = next.at - previous.at;
  const server = next.epoch - previous.epoch;
  return !(client + 2 < server - server / 16 || server + 2 < client - client / 16);
}
