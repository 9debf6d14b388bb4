import { formatIpv4, parseIpv4 } from "../../lib/ip.ts";
import { canonicalIpv6, parseIpv6 } from "../../lib/ipv6.ts";
import { isVerdict, type Part, partText } from "./element.ts";

/** What the kernel answers, as libnftables words it. */
export class FakeRefusal extends Error {
  override readonly name = "FakeRefusal";
  readonly code: string;

  constructor(code: string, reason: string) {
    super(reason);
    this.code = code;
  }
}

export interface FakeElement {
  readonly key: readonly Part[];
  readonly data: readonly Part[] | null;
  readonly comment: string | null;
}

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
const ETHER = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/;

/** A named set or map with the kernel's rules for its elements. */
export class FakeSet {
  readonly kind: "set" | "map";
  /** As it was declared, words single-spaced: a second declaration must say the same. */
  readonly declaration: string;
  readonly keyTypes: readonly string[];
  readonly dataTypes: readonly string[] | null;
  readonly interval: boolean;
  readonly elements = new Map<string, FakeElement>();

  constructor(kind: "set" | "map", declaration: string) {
    const type = /\btype ([^;]+);/.exec(declaration)?.[1];
    if (type === undefined) throw new FakeRefusal("EINVAL", "set definition does not specify key");
    const [key = "", data] = type.split(" : ");
    if ((kind === "map") !== (data !== undefined)) throw new FakeRefusal("EINVAL", "map and data type do not agree");
    this.kind = kind;
    this.declaration = declaration;
    this.keyTypes = key.split(" . ");
    this.dataTypes = data === undefined ? null : data.split(" . ");
    this.interval = /\bflags [^;]*\binterval\b/.test(declaration);
  }

  copy(): FakeSet {
    const copied = new FakeSet(this.kind, this.declaration);
    for (const [text, element] of this.elements) copied.elements.set(text, element);
    return copied;
  }

  add(element: FakeElement, exclusive: boolean): void {
    this.#check(element.key, this.keyTypes, true);
    if (element.data !== null) this.#check(element.data, this.dataTypes ?? [], false);
    if ((element.data === null) !== (this.dataTypes === null)) throw new FakeRefusal("EINVAL", "Invalid argument");
    const text = keyText(element.key);
    const found = this.elements.get(text);
    if (found !== undefined && (exclusive || !sameParts(found.data, element.data))) {
      throw new FakeRefusal("EEXIST", "File exists");
    }
    if (found === undefined && this.interval && this.#overlaps(element.key)) {
      throw new FakeRefusal("EEXIST", "File exists");
    }
    this.elements.set(text, found ?? element);
  }

  /**
   * By key alone: the kernel does not look at the data. Among intervals it takes the one that holds the first value of
   * the key, wherever that one ends.
   */
  remove(key: readonly Part[]): void {
    this.#check(key, this.keyTypes, true);
    const found = this.interval ? this.find(edge(key, 0)) : this.elements.get(keyText(key));
    if (!found) throw new FakeRefusal("ENOENT", "No such file or directory");
    this.elements.delete(keyText(found.key));
  }

  /** The element whose key, or whose interval, holds this one. */
  find(key: readonly Part[]): FakeElement | null {
    for (const element of this.elements.values()) if (overlap(element.key, key)) return element;
    return null;
  }

  /** The kernel looks at both edges; an interval that a new one encloses it does not see. */
  #overlaps(key: readonly Part[]): boolean {
    return this.find(edge(key, 0)) !== null || this.find(edge(key, 1)) !== null;
  }

  #check(parts: readonly Part[], types: readonly string[], isKey: boolean): void {
    const fits =
      parts.length === types.length &&
      parts.every((part, index) => {
        if (isInterval(part) && !(this.interval && isKey)) return false;
        return partFits(part, types[index] as string);
      });
    if (!fits) throw new FakeRefusal("EINVAL", "Invalid argument");
  }
}

function partFits(part: Part, type: string): boolean {
  if (isVerdict(part)) return type === "verdict";
  if (typeof part === "object") return partFits(part[0], type) && partFits(part[1], type) && part[0] < part[1];
  if (type === "ipv4_addr")
    return typeof part === "string" && IPV4.test(part.replace(/\/(?:[0-9]|[12][0-9]|3[0-2])$/, ""));
  if (type === "ipv6_addr") {
    const [address = "", length = "128"] = typeof part === "string" ? part.split("/") : [];
    return canonicalIpv6(address) === address && Number(length) <= 128;
  }
  if (type === "ether_addr") return typeof part === "string" && ETHER.test(part);
  if (type === "inet_service") return Number.isInteger(part) && (part as number) >= 0 && (part as number) < 65536;
  if (type === "inet_proto") return typeof part === "string" || (Number.isInteger(part) && part < 256);
  return false;
}

const isInterval = (part: Part): boolean =>
  (typeof part === "object" && !isVerdict(part)) || (typeof part === "string" && part.includes("/"));

const edge = (key: readonly Part[], side: 0 | 1): Part[] =>
  key.map((part) => {
    if (typeof part === "object" && !isVerdict(part)) return part[side];
    if (!isInterval(part)) return part;
    const bound = bounds(part)[side];
    return typeof bound === "number" ? formatIpv4(bound) : bound;
  });

/** Every part has a value in common. */
function overlap(left: readonly Part[], right: readonly Part[]): boolean {
  return left.every((part, index) => {
    const [a, b] = [bounds(part), bounds(right[index] as Part)];
    return a[0] <= b[1] && b[0] <= a[1];
  });
}

function bounds(part: Part): readonly [string | number, string | number] {
  if (isVerdict(part)) return [part.goto, part.goto];
  if (typeof part === "object") return part;
  const [address = "", length] = typeof part === "string" ? part.split("/") : [];
  const ipv6 = ipv6Bounds(address, Number(length ?? 128));
  if (ipv6 !== null) return ipv6;
  const first = parseIpv4(address);
  return first === null ? [part, part] : [first, first + 2 ** (32 - Number(length ?? 32)) - 1];
}

/** As 32 digits, which sort as the addresses do; null: it is none. */
function ipv6Bounds(address: string, length: number): readonly [string, string] | null {
  const groups = parseIpv6(address);
  if (groups === null) return null;
  const bits = groups.map((group) => group.toString(2).padStart(16, "0")).join("");
  const digits = (fill: string): string =>
    BigInt(`0b${bits.slice(0, length).padEnd(128, fill)}`)
      .toString(16)
      .padStart(32, "0");
  return [digits("0"), digits("1")];
}

export const keyText = (parts: readonly Part[]): string => parts.map(partText).join(" . ");

const sameParts = (left: readonly Part[] | null, right: readonly Part[] | null): boolean =>
  left === right || (left !== null && right !== null && keyText(left) === keyText(right));

/** `{ a . b : c . d comment "x", … }` without its braces. */
export function parseElements(text: string): FakeElement[] {
  return text.split(/, /).map((each) => {
    const [, body = "", comment] = /^(.*?)(?: comment "([^"]*)")?$/.exec(each.trim()) ?? [];
    const [key = "", data] = body.split(" : ");
    return { key: parseParts(key), data: data === undefined ? null : parseParts(data), comment: comment ?? null };
  });
}

const parseParts = (text: string): Part[] =>
  text.split(" . ").map((part): Part => {
    const range = /^(\d+)-(\d+)$/.exec(part);
    if (range !== null) return [Number(range[1]), Number(range[2])];
    if (part.startsWith("goto ")) return { goto: part.slice("goto ".length) };
    return /^\d+$/.test(part) ? Number(part) : part;
  });
