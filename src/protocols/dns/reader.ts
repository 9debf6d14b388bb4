import { type DomainName, NAME_OCTETS_MAX, nameOf, ROOT } from "../../lib/domain-name.ts";
import { HEADER_OCTETS, HOPS_MAX } from "./constants.ts";
import { DnsDecodeError } from "./error.ts";
import type { Header } from "./message.ts";

/**
 * What reading may cost for each octet of the message: a name, a pointer that is followed, an octet of a name that is built or
 * copied, a field of RDATA and each of its octets. A name of 255 octets made of four, in every record, stays below it; what is made to cost more does not.
 */
const STEPS_PER_OCTET = 16;

const SHORT_OCTETS = 32;

/** Two upper bits of a length octet, RFC 1035 §4.1.4. */
const POINTER = 0xc0;
const NOTHING = new Uint8Array();

/** Where in a message we are. Everything is within `end`, or the fault is thrown. */
export class Reader {
  readonly bytes: Uint8Array;
  at = 0;
  end: number;
  /** Null until it was read. */
  header: Header | null = null;
  /** Done so far. */
  steps = 0;
  /** What names at an offset are, for those that pointers led to: a name that is pointed at often is built once. */
  #pointedAt: Map<number, DomainName> | null = null;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.end = bytes.length;
  }

  fault(message: string): never {
    throw new DnsDecodeError(this.header, message);
  }

  need(octets: number): void {
    if (this.at + octets > this.end) this.fault("it ends within a field");
  }

  /** For work that the message makes us do, beside looking at each of its octets once. */
  spend(steps: number): void {
    this.steps += steps;
    if (this.steps > STEPS_PER_OCTET * this.bytes.length) this.fault("its names and data are made to be costly");
  }

  u8(): number {
    this.need(1);
    this.at += 1;
    return this.bytes[this.at - 1] as number;
  }

  u16(): number {
    this.need(2);
    const { bytes, at } = this;
    this.at += 2;
    return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
  }

  u32(): number {
    return this.u16() * 0x1_0000 + this.u16();
  }

  u48(): number {
    return this.u16() * 0x1_0000_0000 + this.u32();
  }

  /** A copy: what is kept of a datagram must not keep all of it. */
  take(octets: number): Uint8Array {
    this.need(octets);
    this.spend(1 + octets);
    if (octets === 0) return NOTHING;
    const { bytes, at } = this;
    this.at += octets;
    // Not `slice`: of what Node calls a Buffer it is no copy.
    if (octets > SHORT_OCTETS) return new Uint8Array(bytes.subarray(at, at + octets));
    // A view of the message to copy from costs more than short copies do.
    const taken = new Uint8Array(octets);
    for (let index = 0; index < octets; index += 1) taken[index] = bytes[at + index] as number;
    return taken;
  }

  /** A `<character-string>`, RFC 1035 §3.3. */
  string(): Uint8Array {
    return this.take(this.u8());
  }

  /** RFC 3597 §4: in RDATA of later types a name is not compressed. */
  wholeName(): DomainName {
    const start = this.at;
    const end = this.#labelsEnd(start);
    if (this.bytes[end] !== 0) this.fault("a compressed name where none may be");
    this.at = end + 1;
    return this.#build(start, end, ROOT);
  }

  /** A name within `end`; where a pointer leads to may be anywhere before. */
  name(): DomainName {
    this.spend(1);
    const { bytes, at: start } = this;
    const end = this.#labelsEnd(start);
    if (bytes[end] === 0) {
      this.at = end + 1;
      return this.#build(start, end, ROOT);
    }
    this.at = end + 2;
    return this.#build(start, end, this.#pointed(this.#pointer(end, start), 1));
  }

  /** The name that begins at `target`, by a pointer. */
  #pointed(target: number, hops: number): DomainName {
    if (hops > HOPS_MAX) this.fault("a name with too many pointers");
    this.spend(1);
    this.#pointedAt ??= new Map();
    const known = this.#pointedAt.get(target);
    if (known !== undefined) return known;
    const end = this.#labelsEnd(target);
    const rest = this.bytes[end] === 0 ? ROOT : this.#pointed(this.#pointer(end, target), hops + 1);
    const name = this.#build(target, end, rest);
    this.#pointedAt.set(target, name);
    return name;
  }

  /** Strictly back from where this part of the name begins, so that it comes to an end; the header holds no name. */
  #pointer(at: number, segment: number): number {
    const target = (((this.bytes[at] as number) & 0x3f) << 8) | (this.bytes[at + 1] as number);
    if (target < HEADER_OCTETS || target >= segment) this.fault("a pointer that does not lead back to a name");
    return target;
  }

  /** Where the labels from `start` on end: at the root's octet or a pointer, which is whole. */
  #labelsEnd(start: number): number {
    const { bytes, end } = this;
    let at = start;
    for (;;) {
      if (at >= end) this.fault("it ends within a name");
      const length = bytes[at] as number;
      if (length === 0) return at;
      if (length >= POINTER) {
        if (at + 2 > end) this.fault("it ends within a pointer");
        return at;
      }
      if (length >= 0x40) this.fault("a label of an unknown type");
      at += 1 + length;
      if (at - start >= NAME_OCTETS_MAX) this.fault("a name of more than 255 octets");
    }
  }

  #build(start: number, end: number, rest: DomainName): DomainName {
    if (start === end) return rest;
    const octets = end - start + rest.wire.length;
    if (octets > NAME_OCTETS_MAX) this.fault("a name of more than 255 octets");
    this.spend(octets);
    const { bytes } = this;
    const labels: number[] = [];
    for (let at = start; at < end; at += 1) labels.push(bytes[at] as number);
    return nameOf(String.fromCharCode(...labels) + rest.wire);
  }
}
