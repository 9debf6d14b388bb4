/** Messages in a stream: two octets of length before each (RFC 1035 §4.2.2). */
const LENGTH_OCTETS = 2;

/** Puts a stream's pieces together to messages, each with octets of its own. Holds one unfinished message, in a buffer of its size. */
export class Frames {
  readonly #length = new Uint8Array(LENGTH_OCTETS);
  #lengthHeld = 0;
  #message: Uint8Array | null = null;
  #held = 0;

  /** The messages that a piece completes. */
  *push(piece: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < piece.length; ) {
      if (this.#message === null) {
        this.#length[this.#lengthHeld] = piece[at] as number;
        this.#lengthHeld += 1;
        at += 1;
        if (this.#lengthHeld < LENGTH_OCTETS) continue;
        this.#lengthHeld = 0;
        this.#message = new Uint8Array(((this.#length[0] as number) << 8) | (this.#length[1] as number));
        this.#held = 0;
      }
      const part = piece.subarray(at, at + this.#message.length - this.#held);
      this.#message.set(part, this.#held);
      this.#held += part.length;
      at += part.length;
      if (this.#held < this.#message.length) continue;
      const whole = this.#message;
      this.#message = null;
      yield whole;
    }
  }

  /** Whether a message has begun and is not whole. */
  get unfinished(): boolean {
    return this.#message !== null || this.#lengthHeld > 0;
  }
}

/** In one piece, so that it leaves in one packet where it fits (RFC 7766 §8). */
export function framed(message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(LENGTH_OCTETS + message.length);
  bytes[0] = message.length >> 8;
  bytes[1] = message.length & 0xff;
  bytes.set(message, LENGTH_OCTETS);
  return bytes;
}
