/** RFC 1035 §4.2.2: two octets of length before each message. */
const LENGTH_OCTETS = 2;

/** Puts a stream's pieces together to messages; holds one unfinished message at most, beside the piece it came in. */
export class Frames {
  #rest: Buffer = Buffer.alloc(0);

  /** The messages that a piece completes. */
  *push(piece: Buffer): Iterable<Buffer> {
    let bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    while (bytes.length >= LENGTH_OCTETS) {
      const end = LENGTH_OCTETS + bytes.readUInt16BE(0);
      if (bytes.length < end) break;
      yield bytes.subarray(LENGTH_OCTETS, end);
      bytes = bytes.subarray(end);
    }
    this.#rest = bytes;
  }

  /** Whether a message has begun and is not whole. */
  get unfinished(): boolean {
    return this.#rest.length > 0;
  }
}

/** In one piece, so that it leaves in one packet where it fits (RFC 7766 §8). */
export function framed(message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(LENGTH_OCTETS + message.length);
  bytes.writeUInt16BE(message.length, 0);
  bytes.set(message, LENGTH_OCTETS);
  return bytes;
}
