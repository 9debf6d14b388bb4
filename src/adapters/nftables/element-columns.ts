/**
 * Elements as numbers in one typed array: 60,000 of them cross between threads as one transfer and are read without an
 * object each.
 */

/** A set or map of ours. Which fields of an element it has follows from its layout. */
export interface SetLayout {
  readonly name: string;
  readonly key: readonly Field[];
  readonly data: readonly Field[];
}

/**
 * `address6`, `source6`: of IPv6, whose first three words are in `upper`. `ports`: an interval of ports, `port`: one. `source`: a network, which is in `toAddress`, with its length in `toPort`;
 * `sourcePort`: a port of it.
 * `via`: the verdict to go on in the chain of that way out, whose number is in `toPort`.
 */
export type Field =
  | "address"
  | "address6"
  | "source6"
  | "protocol"
  | "port"
  | "ports"
  | "source"
  | "sourcePort"
  | "via";

/** The chain that sends packets out by a way. */
export const viaChain = (number: number): string => `via_${number}`;
/** 0 for a chain that is none of these. */
export const viaOfChain = (name: string): number => Number(/^via_([1-9]\d?)$/.exec(name)?.[1] ?? 0);

const ADDRESS_KEY = ["address", "protocol", "port"] as const;
const PINHOLE_KEY = ["address6", "protocol", "port"] as const;

/** Words of 32 bits that a part of a key fills. */
export const wordsOfField = (field: Field): number => (field === "address6" || field === "source6" ? 4 : 1);

/** Order is the `set` number of an element. */
export const FORWARD_SETS: readonly SetLayout[] = [
  { name: "forwards", key: ADDRESS_KEY, data: ["address", "port"] },
  { name: "ranges", key: ["address", "protocol", "ports"], data: ["address"] },
  { name: "outbound", key: ADDRESS_KEY, data: ["address", "port"] },
  { name: "ours", key: ["protocol", "port"], data: [] },
  { name: "egress", key: ["address"], data: ["address"] },
  { name: "restricted", key: ["address", "protocol", "ports"], data: [] },
  { name: "allowed", key: ["address", "protocol", "ports", "source"], data: [] },
  { name: "visited", key: ADDRESS_KEY, data: [] },
  { name: "host_via", key: ["address"], data: ["via"] },
  { name: "port_via", key: ADDRESS_KEY, data: ["via"] },
  { name: "allowed_ports", key: ["address", "protocol", "ports", "source", "sourcePort"], data: [] },
  { name: "pinholes", key: PINHOLE_KEY, data: [] },
  { name: "pinholes_from", key: [...PINHOLE_KEY, "source6"], data: [] },
  { name: "pinholes_from_ports", key: [...PINHOLE_KEY, "source6", "sourcePort"], data: [] },
];

export const GUARD_SETS: readonly SetLayout[] = [{ name: "holders", key: ["address"], data: [] }];

/** Fields a layout does not have are 0. */
export interface ElementFields {
  readonly set: number;
  readonly address: number;
  /** IANA number. */
  readonly protocol: number;
  readonly firstPort: number;
  readonly lastPort: number;
  readonly toAddress: number;
  readonly toPort: number;
  readonly sourcePort: number;
  /** The first three words of an IPv6 address, then those of a source; absent in what is of IPv4. */
  readonly upper?: readonly number[];
}

/** Of a layout whose elements are of IPv6. */
export const UPPER_WORDS = 6;
const PLAIN = 8;
const STRIDE = PLAIN + UPPER_WORDS;

export class ElementColumns {
  #values: Uint32Array;
  #length: number;

  constructor(values: Uint32Array = new Uint32Array(STRIDE * 64), length = values.length / STRIDE) {
    this.#values = values;
    this.#length = length;
  }

  static empty(): ElementColumns {
    return new ElementColumns(undefined, 0);
  }

  get length(): number {
    return this.#length;
  }

  push(fields: ElementFields): void {
    const { set, address, protocol, firstPort, lastPort, toAddress, toPort, sourcePort } = fields;
    if ((this.#length + 1) * STRIDE > this.#values.length) {
      const larger = new Uint32Array(this.#values.length * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    // One by one: an array to copy from would be an object for each element.
    const [values, base] = [this.#values, this.#length * STRIDE];
    values[base] = set;
    values[base + 1] = address;
    values[base + 2] = protocol;
    values[base + 3] = firstPort;
    values[base + 4] = lastPort;
    values[base + 5] = toAddress;
    values[base + 6] = toPort;
    values[base + 7] = sourcePort;
    const { upper } = fields;
    if (upper !== undefined)
      for (let word = 0; word < UPPER_WORDS; word += 1) values[base + PLAIN + word] = upper[word] ?? 0;
    else values.fill(0, base + PLAIN, base + STRIDE);
    this.#length += 1;
  }

  /** Forgets what was pushed after the first `length`. */
  truncate(length: number): void {
    this.#length = Math.min(this.#length, length);
  }

  at(index: number): ElementFields {
    const base = index * STRIDE;
    const field = (offset: number): number => this.#values[base + offset] as number;
    const isIpv6 = field(PLAIN) !== 0;
    return {
      set: field(0),
      address: field(1),
      protocol: field(2),
      firstPort: field(3),
      lastPort: field(4),
      toAddress: field(5),
      toPort: field(6),
      sourcePort: field(7),
      ...(isIpv6 && { upper: Array.from({ length: UPPER_WORDS }, (_, word) => field(PLAIN + word)) }),
    };
  }

  /** What to post to another thread, and to construct the same from there. */
  values(): Uint32Array {
    return this.#values.slice(0, this.#length * STRIDE);
  }
}
