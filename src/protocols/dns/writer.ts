import type { DomainName } from "../../lib/domain-name.ts";
import { assert } from "../../lib/assert.ts";
import { MESSAGE_OCTETS_MAX } from "./constants.ts";

const OCTETS_FIRST = 512;
/** RFC 1035 §4.1.4: what fourteen bits can point at. */
const OFFSET_MAX = 0x3fff;
const POINTER = 0xc000;

/** Octets as they are written. Every octet that is given out was written. */
export class Writer {
  #bytes = new Uint8Array(OCTETS_FIRST);
  at = 0;
  /**
   * Where a name, or the rest of one, was written. By its octets and not by what they compare as: no name changes its case.
   * Null: nothing is compressed.
   */
  readonly #names: Map<string, number> | null;

  constructor(compression: "compressed" | "whole" = "compressed") {
    this.#names = compression === "whole" ? null : new Map();
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.at);
  }

  #room(octets: number): void {
    const needed = this.at + octets;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    grown.set(this.#bytes.subarray(0, this.at));
    this.#bytes = grown;
  }

  u8(value: number): void {
    this.#room(1);
    this.#bytes[this.at] = value;
    this.at += 1;
  }

  u16(value: number): void {
    this.#room(2);
    this.#bytes[this.at] = value >>> 8;
    this.#bytes[this.at + 1] = value;
    this.at += 2;
  }

  u32(value: number): void {
    this.u16(value >>> 16);
    this.u16(value & 0xffff);
  }

  u48(value: number): void {
    this.u16(Math.floor(value / 0x1_0000_0000));
    this.u32(value % 0x1_0000_0000);
  }

  octets(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.at);
    this.at += bytes.length;
  }

  string(bytes: Uint8Array): void {
    assert(bytes.length <= 255, "a character-string has at most 255 octets");
    this.u8(bytes.length);
    this.octets(bytes);
  }

  /** Whole; nothing points at it, as it may be in lower case for a digest, or in RDATA that is copied. */
  wholeName(wire: string): void {
    this.#room(wire.length);
    for (let index = 0; index < wire.length; index += 1) this.#bytes[this.at + index] = wire.charCodeAt(index);
    this.at += wire.length;
  }

  /** Compressed: as many of its last labels as were written before are a pointer. */
  name({ wire }: DomainName): void {
    if (this.#names === null) {
      this.wholeName(wire);
      return;
    }
    for (let start = 0; wire.charCodeAt(start) !== 0; ) {
      const rest = start === 0 ? wire : wire.slice(start);
      const known = this.#names.get(rest);
      if (known !== undefined) {
        this.u16(POINTER | known);
        return;
      }
      if (this.at <= OFFSET_MAX) this.#names.set(rest, this.at);
      const next = start + 1 + wire.charCodeAt(start);
      this.wholeName(wire.slice(start, next));
      start = next;
    }
    this.u8(0);
  }

  /** RDATA after its length, which is known when it is written. */
  data(write: () => void): void {
    this.u16(0);
    const start = this.at;
    write();
    const length = this.at - start;
    assert(length <= MESSAGE_OCTETS_MAX, "RDATA has at most 65,535 octets");
    this.#bytes[start - 2] = length >>> 8;
    this.#bytes[start - 1] = length;
  }

  patchU16(at: number, value: number): void {
    this.#bytes[at] = value >>> 8;
    this.#bytes[at + 1] = value;
  }

  /** Writes over what was written first, with as many octets. */
  rewriteStart(write: () => void): void {
    const end = this.at;
    this.at = 0;
    write();
    this.at = end;
  }

  /** As it was when `at` was there: what was written since is forgotten, and nothing points at it. */
  rewind(at: number): void {
    this.at = at;
    for (const [rest, offset] of this.#names ?? []) if (offset >= at) this.#names?.delete(rest);
  }
}
