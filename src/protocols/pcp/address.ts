import { assert } from "../../lib/assert.ts";
import { formatIpv4, parseIpv4 } from "../../lib/ip.ts";
import { formatIpv6, parseIpv6 } from "../../lib/ipv6.ts";

/** RFC 6887 §5: every address is 16 octets, IPv4 as ::ffff:a.b.c.d. */
export const ADDRESS_BYTES = 16;

/** RFC 6887 §5: both of these mean "no address"; which one says the family. */
export const ANY_IPV4 = "0.0.0.0";
export const ANY_IPV6 = "::";

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
