import { assert } from "../../lib/assert.ts";
import { formatIpv4, parseIpv4 } from "../../lib/ip.ts";

/** RFC 6887 §5: every address is 16 octets, IPv4 as ::ffff:a.b.c.d. */
export const ADDRESS_BYTES = 16;

/** RFC 6887 §5: both of these mean "no address"; which one says the family. */
export const ANY_IPV4 = "0.0.0.0";
export const ANY_IPV6 = "::";

const GROUP = /^[0-9a-f]{1,4}$/i;

/** Text of the 16 octets at `offset`: dotted for IPv4-mapped addresses, RFC 5952 for all others. */
export function readAddress(view: DataView, offset: number): string {
  const groups = Array.from({ length: 8 }, (_, index) => view.getUint16(offset + index * 2));
  // The whole 96-bit prefix: ::1:ffff:a.b.c.d is no IPv4 address.
  if (groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)) {
    return formatIpv4(view.getUint32(offset + 12));
  }
  return formatIpv6(groups);
}

/** Writes an address that `readAddress` gave, or any valid IPv4 or IPv6 text. */
export function writeAddress(view: DataView, offset: number, text: string): void {
  const ipv4 = parseIpv4(text);
  if (ipv4 !== null) {
    view.setUint16(offset + 10, 0xffff);
    view.setUint32(offset + 12, ipv4);
    return;
  }
  const groups = parseIpv6(text);
  assert(groups !== null, `not an address: ${text}`);
  for (const [index, group] of groups.entries()) view.setUint16(offset + index * 2, group);
}

/** RFC 5952 §4: lower case, no leading zeros, the first longest run of at least two zero groups as "::". */
function formatIpv6(groups: readonly number[]): string {
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

function parseIpv6(text: string): number[] | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const parts = halves.map((half) => (half === "" ? [] : half.split(":")));
  if (!parts.flat().every((part) => GROUP.test(part))) return null;
  const [head = [], tail = []] = parts.map((half) => half.map((part) => Number.parseInt(part, 16)));
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  return [...head, ...Array.from({ length: missing }, () => 0), ...tail];
}
