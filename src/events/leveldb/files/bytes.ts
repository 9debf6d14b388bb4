/** A varint64 has at most ten bytes of seven bits. */
const VARINT_END = 128 ** 10;

/** Reads what LevelDB's util/coding.h writes. Throws a RangeError past the end. */
export class ByteReader {
  readonly #bytes: Buffer;
  #position = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#position >= this.#bytes.length;
  }

  byte(): number {
    const value = this.#bytes[this.#position];
    if (value === undefined) throw new RangeError("past the end");
    this.#position += 1;
    return value;
  }

  /** Sizes, offsets and file numbers stay far below 2^53. */
  varint(): number {
    let value = 0;
    for (let scale = 1; scale < VARINT_END; scale *= 128) {
      const byte = this.byte();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new RangeError("a number of more than 64 bits");
  }

  take(length: number): Buffer {
    const end = this.#position + length;
    if (end > this.#bytes.length) throw new RangeError("past the end");
    const taken = this.#bytes.subarray(this.#position, end);
    this.#position = end;
    return taken;
  }

  /** A string after its length. */
  string(): Buffer {
    return this.take(this.varint());
  }
}

/** The most that a byte of it stands for: a copy of 64 bytes takes three. */
const SNAPPY_RATIO_MAX = 22;

/** Snappy's format_description.txt: literals, and copies from what has been put out already. */
export function unsnappy(bytes: Buffer): Buffer {
  const input = new ByteReader(bytes);
  const total = input.varint();
  if (total > SNAPPY_RATIO_MAX * bytes.length) throw new RangeError("longer than it can be");
  const output = Buffer.alloc(total);
  let length = 0;
  const littleEndian = (count: number): number => input.take(count).readUIntLE(0, count);
  while (!input.atEnd) {
    const tag = input.byte();
    const size = tag >> 2;
    if ((tag & 3) === 0) {
      const literal = input.take((size < 60 ? size : littleEndian(size - 59)) + 1);
      if (length + literal.length > output.length) throw new RangeError("longer than it says");
      literal.copy(output, length);
      length += literal.length;
      continue;
    }
    const short = (tag & 3) === 1;
    const copied = short ? (size & 7) + 4 : size + 1;
    const back = short ? (tag >> 5) * 256 + input.byte() : littleEndian((tag & 3) === 2 ? 2 : 4);
    if (back === 0 || back > length || length + copied > output.length) throw new RangeError("a copy from nowhere");
    // Byte by byte: a copy may reach into what it is itself putting out.
    for (let index = 0; index < copied; index += 1, length += 1) output[length] = output[length - back] as number;
  }
  if (length !== output.length) throw new RangeError("shorter than it says");
  return output;
}
