/** Netlink and nfnetlink framing: RFC 3549 §2.3.2, include/uapi/linux/netlink.h, nfnetlink.h. Pure. */

const HEADER_BYTES = 16;
/** nfgenmsg: family, version, big-endian resource id. */
const NFGEN_BYTES = 4;
const ATTRIBUTE_BYTES = 4;
/** The two high bits of a type say "nested" and "network byte order". */
const ATTRIBUTE_TYPE_MASK = 0x3fff;
const NESTED = 0x8000;

export const NLM_F_REQUEST = 0x01;
export const NLM_F_ACK = 0x04;
export const NLM_F_DUMP = 0x300;
/** What was dumped changed meanwhile: the dump may miss or repeat something. */
export const NLM_F_DUMP_INTR = 0x10;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

/** Netlink's own fields are in host order, and so is all we run on: x86, ARM and RISC-V are little-endian. */
const align = (length: number): number => (length + 3) & ~3;

export function attribute(type: number, payload: Buffer | readonly Buffer[]): Buffer {
  const nested = !Buffer.isBuffer(payload);
  const body = nested ? Buffer.concat(payload) : payload;
  const bytes = Buffer.alloc(align(ATTRIBUTE_BYTES + body.length));
  bytes.writeUInt16LE(ATTRIBUTE_BYTES + body.length, 0);
  bytes.writeUInt16LE(nested ? type | NESTED : type, 2);
  body.copy(bytes, ATTRIBUTE_BYTES);
  return bytes;
}

export const stringAttribute = (type: number, text: string): Buffer => attribute(type, Buffer.from(`${text}\0`));

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

export function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

/** The socket numbers its requests itself. */
export function setSequence(bytes: Buffer, sequence: number): void {
  bytes.writeUInt32LE(sequence, 8);
}

/** `type`: subsystem << 8 | message. */
export function message(type: number, flags: number, family: number, attributes: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(HEADER_BYTES + NFGEN_BYTES);
  const bytes = Buffer.concat([head, ...attributes]);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags, 6);
  bytes.writeUInt8(family, HEADER_BYTES);
  return bytes;
}

/** One message inside a datagram. `start`..`end` are its attributes, after nfgenmsg. */
export interface MessageView {
  type: number;
  flags: number;
  sequence: number;
  start: number;
  end: number;
  /** Errno, positive, of an NLMSG_ERROR; 0 is an acknowledgement. */
  errno: number;
}

/** Calls back for each message; the view is reused. Stops at what does not fit its length. */
export function eachMessage(bytes: Buffer, length: number, visit: (view: MessageView) => void): void {
  const view: MessageView = { type: 0, flags: 0, sequence: 0, start: 0, end: 0, errno: 0 };
  for (let at = 0; at + HEADER_BYTES <= length; ) {
    const size = bytes.readUInt32LE(at);
    if (size < HEADER_BYTES || at + size > length) return;
    view.type = bytes.readUInt16LE(at + 4);
    view.flags = bytes.readUInt16LE(at + 6);
    view.sequence = bytes.readUInt32LE(at + 8);
    view.start = Math.min(at + HEADER_BYTES + NFGEN_BYTES, at + size);
    view.end = at + size;
    view.errno = hasErrno(view.type) && size >= HEADER_BYTES + 4 ? -bytes.readInt32LE(at + HEADER_BYTES) : 0;
    visit(view);
    at += align(size);
  }
}

/** NLMSG_DONE carries one too when a dump broke off. */
const hasErrno = (type: number): boolean => type === NLMSG_ERROR || type === NLMSG_DONE;

/**
 * Where attribute `type` has its payload between `start` and `end`, as offset × 65536 + length, or -1. A number and not
 * an object: a listing of 60,000 elements asks this half a million times.
 */
export function findAttribute(bytes: Buffer, start: number, end: number, type: number): number {
  for (let at = start; at + ATTRIBUTE_BYTES <= end; ) {
    const size = bytes.readUInt16LE(at);
    if (size < ATTRIBUTE_BYTES || at + size > end) return -1;
    if ((bytes.readUInt16LE(at + 2) & ATTRIBUTE_TYPE_MASK) === type) {
      return (at + ATTRIBUTE_BYTES) * 65536 + (size - ATTRIBUTE_BYTES);
    }
    at += align(size);
  }
  return -1;
}

export const offsetOf = (found: number): number => Math.floor(found / 65536);
export const lengthOf = (found: number): number => found % 65536;
export const endOf = (found: number): number => offsetOf(found) + lengthOf(found);

/** Calls back with offset and end of each attribute's payload. */
export function eachAttribute(
  bytes: Buffer,
  start: number,
  end: number,
  visit: (type: number, start: number, end: number) => void,
): void {
  for (let at = start; at + ATTRIBUTE_BYTES <= end; ) {
    const size = bytes.readUInt16LE(at);
    if (size < ATTRIBUTE_BYTES || at + size > end) return;
    visit(bytes.readUInt16LE(at + 2) & ATTRIBUTE_TYPE_MASK, at + ATTRIBUTE_BYTES, at + size);
    at += align(size);
  }
}

/** A NUL-terminated string, or null if the attribute is missing. */
export function attributeText(bytes: Buffer, start: number, end: number, type: number): string | null {
  const found = findAttribute(bytes, start, end, type);
  if (found < 0) return null;
  const [from, to] = [offsetOf(found), endOf(found)];
  const nul = bytes.indexOf(0, from);
  return bytes.toString("latin1", from, nul >= 0 && nul < to ? nul : to);
}

/** Big-endian, as nftables and conntrack send them; null if it is missing or shorter. */
export function attributeUint32(bytes: Buffer, start: number, end: number, type: number): number | null {
  return attributeUint(bytes, start, end, type, 4);
}

export function attributeUint16(bytes: Buffer, start: number, end: number, type: number): number | null {
  return attributeUint(bytes, start, end, type, 2);
}

export function attributeUint8(bytes: Buffer, start: number, end: number, type: number): number | null {
  return attributeUint(bytes, start, end, type, 1);
}

function attributeUint(bytes: Buffer, start: number, end: number, type: number, width: number): number | null {
  const found = findAttribute(bytes, start, end, type);
  return found < 0 || lengthOf(found) < width ? null : bytes.readUIntBE(offsetOf(found), width);
}
