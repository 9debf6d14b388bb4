import { formatIpv4, parseIpv4 } from "../../../lib/ip.ts";
import { formatIpv6, parseIpv6 } from "../../../lib/ipv6.ts";
import { numberOf, octetsOf, stringText } from "./text.ts";

/** RFC 9460 §14.3.2, with the registry it made. */
interface ParameterFormat {
  readonly name: string;
  /** Whether the octets of a value are of its form. */
  readonly valid: (value: Uint8Array) => boolean;
  /** After the "="; null: there is no value. */
  readonly text: (value: Uint8Array) => string | null;
  /** Of the octets that the text of the value stands for; null if that is no value. */
  readonly parse: (value: Uint8Array) => Uint8Array | null;
}

const ascii = (octets: Uint8Array): string => String.fromCharCode(...octets.subarray(0, 4096));
const octets = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
const u16 = (value: number): number[] => [value >>> 8, value & 0xff];
const u16At = (value: Uint8Array, at: number): number => ((value[at] as number) << 8) | (value[at + 1] as number);
const wholeGroups = (size: number) => (value: Uint8Array) => value.length > 0 && value.length % size === 0;
const groupsOf = (value: Uint8Array, size: number): Uint8Array[] =>
  Array.from({ length: value.length / size }, (_, index) => value.subarray(index * size, (index + 1) * size));
const wordsOf = (value: Uint8Array): number[] => groupsOf(value, 2).map((each) => u16At(each, 0));

/** Each item parsed, or null if one of them is none. */
function listOf(value: Uint8Array, parse: (item: string) => readonly number[] | null): Uint8Array | null {
  const items = ascii(value).split(",").map(parse);
  return items.includes(null) ? null : Uint8Array.from(items.flatMap((item) => item ?? []));
}

const MANDATORY: ParameterFormat = {
  name: "mandatory",
  // §8: ascending, and never of itself.
  valid: (value) =>
    wholeGroups(2)(value) && wordsOf(value).every((key, index, all) => key > (index === 0 ? 0 : (all[index - 1] ?? 0))),
  text: (value) => wordsOf(value).map(parameterName).join(","),
  parse(value) {
    const keys = ascii(value).split(",").map(parameterNumber);
    return keys.includes(null)
      ? null
      : Uint8Array.from((keys as number[]).sort((one, other) => one - other).flatMap(u16));
  },
};

const ALPN: ParameterFormat = {
  name: "alpn",
  valid(value) {
    let at = 0;
    while (at < value.length && value[at] !== 0) at += 1 + (value[at] as number);
    return value.length > 0 && at === value.length;
  },
  // Appendix A.1: a comma in an item has a backslash, and so has a backslash; as in any string, each of those has one more.
  text(value) {
    const items: string[] = [];
    for (let at = 0; at < value.length; at += 1 + (value[at] as number)) {
      items.push(ascii(value.subarray(at + 1, at + 1 + (value[at] as number))).replaceAll(/[\\,]/g, "\\$&"));
    }
    return stringText(octets(items.join(",")));
  },
  parse(value) {
    const items = [...ascii(value).matchAll(/(?:\\[\\,]|[^\\,])+|,/g)].map(([item]) => item);
    if (items.join("") !== ascii(value) || items.some((item, index) => (item === ",") !== (index % 2 === 1)))
      return null;
    const ids = items.filter((item) => item !== ",").map((item) => octets(item.replaceAll(/\\(.)/gs, "$1")));
    return ids.length * 2 - 1 === items.length && ids.every((id) => id.length <= 255)
      ? Uint8Array.from(ids.flatMap((id) => [id.length, ...id]))
      : null;
  },
};

const NO_DEFAULT_ALPN: ParameterFormat = {
  name: "no-default-alpn",
  valid: (value) => value.length === 0,
  text: () => null,
  parse: (value) => (value.length === 0 ? value : null),
};

const PORT: ParameterFormat = {
  name: "port",
  valid: (value) => value.length === 2,
  text: (value) => String(u16At(value, 0)),
  parse(value) {
    const port = numberOf(ascii(value), 0xffff);
    return port === null ? null : Uint8Array.from(u16(port));
  },
};

const IPV4_HINT: ParameterFormat = {
  name: "ipv4hint",
  valid: wholeGroups(4),
  text: (value) =>
    groupsOf(value, 4)
      .map((group) => formatIpv4(u16At(group, 0) * 0x1_0000 + u16At(group, 2)))
      .join(","),
  parse: (value) =>
    listOf(value, (item) => {
      const address = parseIpv4(item);
      return address === null ? null : [...u16(address >>> 16), ...u16(address & 0xffff)];
    }),
};

const IPV6_HINT: ParameterFormat = {
  name: "ipv6hint",
  valid: wholeGroups(16),
  text: (value) =>
    groupsOf(value, 16)
      .map((group) => formatIpv6(wordsOf(group)))
      .join(","),
  parse: (value) => listOf(value, (item) => parseIpv6(item)?.flatMap(u16) ?? null),
};

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** RFC 9848 §3. */
const ECH: ParameterFormat = {
  name: "ech",
  valid: (value) => value.length > 0,
  text(value) {
    let binary = "";
    for (const octet of value) binary += String.fromCharCode(octet);
    return btoa(binary);
  },
  parse(value) {
    const text = String.fromCharCode(...value.subarray(0, 65_536));
    return text !== "" && BASE64.test(text) ? octets(atob(text)) : null;
  },
};

/** RFC 9461 §5. */
const DOHPATH: ParameterFormat = {
  name: "dohpath",
  valid: () => true,
  text: (value) => stringText(value),
  parse: (value) => value,
};

const FORMATS: readonly ParameterFormat[] = [
  MANDATORY,
  ALPN,
  NO_DEFAULT_ALPN,
  PORT,
  IPV4_HINT,
  ECH,
  IPV6_HINT,
  DOHPATH,
];

const UNNAMED = /^key(0|[1-9]\d{0,4})$/;

function parameterName(key: number): string {
  return FORMATS[key]?.name ?? `key${key}`;
}

function parameterNumber(name: string): number | null {
  const index = FORMATS.findIndex((format) => format.name === name);
  if (index >= 0) return index;
  const digits = UNNAMED.exec(name)?.[1];
  return digits === undefined ? null : numberOf(digits, 0xffff);
}

export function isParameterValue(key: number, value: Uint8Array): boolean {
  return FORMATS[key]?.valid(value) ?? true;
}

/** `alpn="h2,h3"`, `port=8443`, `no-default-alpn`, `key65000="\001"`. */
export function parameterText(key: number, value: Uint8Array): string {
  const text = FORMATS[key] === undefined ? stringText(value) : FORMATS[key].text(value);
  return text === null ? parameterName(key) : `${parameterName(key)}=${text}`;
}

export function parseParameter(field: string): { readonly key: number; readonly value: Uint8Array } | null {
  const equals = field.indexOf("=");
  const key = parameterNumber(equals < 0 ? field : field.slice(0, equals));
  if (key === null) return null;
  const written = octetsOf(equals < 0 ? "" : field.slice(equals + 1));
  const value = FORMATS[key] === undefined ? written : FORMATS[key].parse(written);
  return value === null || !isParameterValue(key, value) ? null : { key, value };
}
