// A ClientHello as it goes over the wire (RFC 8446 §4.1.2, RFC 6066 §3), whatever it says.

/** @param {number} value @param {number} octets */
const number = (value, octets) => Buffer.from(value.toString(16).padStart(octets * 2, "0"), "hex");
/** @param {Buffer} body @param {number} octets of its length */
const vector = (body, octets) => Buffer.concat([number(body.length, octets), body]);

/**
 * @param {readonly (string | Buffer)[]} names in one server_name extension; none: no extension
 * @param {number} [padding] octets of RFC 7685
 */
export function handshake(names, padding = 0) {
  const list = names.map((name) => Buffer.concat([number(0, 1), vector(Buffer.from(name), 2)]));
  const extensions = [
    ...(padding > 0 ? [Buffer.concat([number(21, 2), vector(Buffer.alloc(padding), 2)])] : []),
    ...(names.length > 0 ? [Buffer.concat([number(0, 2), vector(vector(Buffer.concat(list), 2), 2)])] : []),
    Buffer.concat([number(43, 2), vector(Buffer.from([2, 3, 4]), 2)]),
  ];
  const body = Buffer.concat([
    number(0x0303, 2),
    Buffer.alloc(32, 7),
    vector(Buffer.alloc(32, 8), 1),
    vector(Buffer.from([0x13, 0x01]), 2),
    vector(Buffer.from([0]), 1),
    vector(Buffer.concat(extensions), 2),
  ]);
  return Buffer.concat([number(1, 1), vector(body, 3)]);
}

/** The same in records of at most so many octets each. @param {Buffer} message @param {number} [size] */
export function records(message, size = 16_384) {
  const pieces = [];
  for (let at = 0; at < message.length; at += size) {
    pieces.push(Buffer.concat([number(22, 1), number(0x0301, 2), vector(message.subarray(at, at + size), 2)]));
  }
  return Buffer.concat(pieces);
}

/** @param {string | Buffer} name */
export const hello = (name) => records(handshake([name]));
