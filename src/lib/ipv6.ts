/** IPv6 as eight groups of 16 bits inside, RFC 5952 text outside. */

import { parseIpv4 } from "./ip.ts";

const GROUP = /^[0-9a-f]{1,4}$/i;
const DOTTED = /^(.*:)(\d[\d.]*)$/;
const LENGTH = /^(?:0|[1-9]\d{0,2})$/;

/** The eight groups, or null if the text is not an address of RFC 4291 §2.2. No zone. */
export function parseIpv6(text: string): number[] | null {
  const plain = withoutDotted(text);
  const halves = plain?.split("::") ?? [];
  if (halves.length < 1 || halves.length > 2) return null;
  const parts = halves.map((half) => (half === "" ? [] : half.split(":")));
  if (!parts.flat().every((part) => GROUP.test(part))) return null;
  const [head = [], tail = []] = parts.map((half) => half.map((part) => Number.parseInt(part, 16)));
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  return [...head, ...Array.from({ length: missing }, () => 0), ...tail];
}

/** RFC 4291 §2.2.3: the last 32 bits may be written as IPv4. */
function withoutDotted(text: string): string | null {
  const [, head = "", dotted = ""] = (text.includes(".") ? DOTTED.exec(text) : null) ?? [];
  if (dotted === "") return text;
  const value = parseIpv4(dotted);
  return value === null ? null : `${head}${(value >>> 16).toString(16)}:${(value & 0xffff).toString(16)}`;
}

/** RFC 5952 §4: lower case, no leading zeros, the first longest run of at least two zero groups as "::". */
export function formatIpv6(groups: readonly number[]): string {
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start += 1) {
    let length = 0;
    while (groups[start + length] === 0) length += 1;
    if (length > best.length) best = { start, length };
  }
  const text = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(":");
  if (best.start < 0) return text(groups);
  return `${text(groups.slice(0, best.start))}::${text(groups.slice(best.start + best.length))}`;
}

/** Whether an address or a network that is well formed is of this family. */
export const isIpv6 = (text: string): boolean => text.includes(":");

/** The one way to write an address that is written in any way; null if it is none. */
export function canonicalIpv6(text: string): string | null {
  const groups = parseIpv6(text);
  return groups === null ? null : formatIpv6(groups);
}

export interface Ipv6Prefix {
  readonly groups: readonly number[];
  readonly length: number;
}

/** "fd12::1/64" with the host part kept; null if it is not IPv6 CIDR. */
export function parseIpv6Prefix(text: string): Ipv6Prefix | null {
  const slash = text.indexOf("/");
  const groups = parseIpv6(text.slice(0, Math.max(slash, 0)));
  const length = LENGTH.test(text.slice(slash + 1)) ? Number(text.slice(slash + 1)) : 129;
  return slash < 0 || groups === null || length > 128 ? null : { groups, length };
}

/** "fd12::/64": the host part cleared. */
export function ipv6Network({ groups, length }: Ipv6Prefix): string {
  const network = groups.map((group, index) => {
    const kept = Math.min(16, Math.max(0, length - index * 16));
    return group & ((0xffff << (16 - kept)) & 0xffff);
  });
  return `${formatIpv6(network)}/${length}`;
}

/** The address in an IPv6 prefix that goes with an IPv4 address: the prefix OR its 32 bits, as the reference derives it. */
export function ipv6For({ groups, length }: Ipv6Prefix, ipv4: string): string {
  const network = parseIpv6Prefix(ipv6Network({ groups, length })) as Ipv6Prefix;
  const value = parseIpv4(ipv4) ?? 0;
  const [high, low] = [value >>> 16, value & 0xffff];
  return formatIpv6(
    network.groups.map((group, index) => (index === 6 ? group | high : index === 7 ? group | low : group)),
  );
}

/** Whether all of `inner` lies in `outer`; a network lies in itself. */
export const ipv6Contains = (outer: Ipv6Prefix, inner: Ipv6Prefix): boolean =>
  outer.length <= inner.length && ipv6Network({ ...inner, length: outer.length }) === ipv6Network(outer);

export const ipv6Overlap = (one: Ipv6Prefix, other: Ipv6Prefix): boolean =>
  ipv6Contains(one, other) || ipv6Contains(other, one);

const networkNamed = (text: string): Ipv6Prefix => parseIpv6Prefix(text) as Ipv6Prefix;
/** RFC 4193 §3.1. */
const UNIQUE_LOCAL = networkNamed("fc00::/7");
/** RFC 4291 §2.4, as far as IANA has given any of it out. */
const GLOBAL_UNICAST = networkNamed("2000::/3");

/** Addresses that no provider routes: good between hosts of one site. */
export const isUniqueLocalIpv6 = (prefix: Ipv6Prefix): boolean => ipv6Contains(UNIQUE_LOCAL, prefix);
export const isGlobalUnicastIpv6 = (prefix: Ipv6Prefix): boolean => ipv6Contains(GLOBAL_UNICAST, prefix);
