import { type DomainName, parseName } from "../../../../src/lib/domain-name.ts";
import { concat } from "../hex.ts";

/** Messages octet by octet, so that they can be wrong in any way. */
export const u16 = (...values: number[]): Uint8Array =>
  Uint8Array.from(values.flatMap((value) => [(value >>> 8) & 0xff, value & 0xff]));
export const u32 = (value: number): Uint8Array => u16(Math.floor(value / 0x1_0000), value % 0x1_0000);
export const name = (text: string): DomainName => parseName(text) as DomainName;
export const wire = (text: string): Uint8Array =>
  Uint8Array.from(name(text).wire, (character) => character.charCodeAt(0));
export const pointer = (to: number): Uint8Array => u16(0xc000 | to);
export const string = (text: string): Uint8Array => Uint8Array.of(text.length, ...new TextEncoder().encode(text));

export const question = (owner: string, type: number, questionClass = 1): Uint8Array =>
  concat(wire(owner), u16(type, questionClass));

export interface RecordOctets {
  readonly owner?: string | Uint8Array;
  readonly type: number;
  readonly class?: number;
  readonly ttl?: number;
  readonly data?: Uint8Array;
  /** What RDLENGTH says, if it lies. */
  readonly length?: number;
}

export function record(from: RecordOctets): Uint8Array {
  const { owner = "a.example", data = new Uint8Array(), length = data.length } = from;
  return concat(
    typeof owner === "string" ? wire(owner) : owner,
    u16(from.type, from.class ?? 1),
    u32(from.ttl ?? 0),
    u16(length),
    data,
  );
}

export interface MessageOctets {
  readonly id?: number;
  readonly flags?: number;
  readonly sections?: readonly (readonly Uint8Array[])[];
  /** What the header says, if it lies. */
  readonly counts?: readonly number[];
  readonly rest?: Uint8Array;
}

export function message({ id = 0x1234, flags = 0, sections = [], counts, rest }: MessageOctets): Uint8Array {
  const said = counts ?? [0, 1, 2, 3].map((index) => sections[index]?.length ?? 0);
  return concat(u16(id, flags, ...said), ...sections.flat(), rest ?? new Uint8Array());
}

export const UPDATE = 5 << 11;
