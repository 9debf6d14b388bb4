/** IPv4 as the data plane needs it: text in canonical form outside, 32-bit unsigned numbers for arithmetic. */

const OCTET = /^(?:0|[1-9]\d{0,2})$/;
const PREFIX_LENGTH = /^(?:0|[1-9]\d?)$/;

/** The address as an unsigned 32-bit number, or null if the text is not canonical dotted decimal. */
export function parseIpv4(text: string): number | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  let value = 0;
  for (const part of parts) {
    const octet = OCTET.test(part) ? Number(part) : 256;
    if (octet > 255) return null;
    value = value * 256 + octet;
  }
  return value;
}

export function formatIpv4(value: number): string {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255].join(".");
}

export interface Ipv4Prefix {
  readonly address: number;
  readonly length: number;
}

/** "192.168.7.1/24" with the host part kept; null if it is not IPv4 CIDR. */
export function parseIpv4Prefix(text: string): Ipv4Prefix | null {
  const slash = text.indexOf("/");
  const address = parseIpv4(text.slice(0, Math.max(slash, 0)));
  const length = PREFIX_LENGTH.test(text.slice(slash + 1)) ? Number(text.slice(slash + 1)) : 33;
  if (slash < 0 || address === null || length > 32) return null;
  return { address, length };
}

/** "192.168.7.1" of "192.168.7.1/24", IPv6 too. */
export const withoutLength = (cidr: string): string => cidr.slice(0, cidr.indexOf("/"));

/** Whether both are in the same network of `prefix.length` bits. */
export function prefixContains(prefix: Ipv4Prefix, address: number): boolean {
  if (prefix.length === 0) return true;
  const shift = 32 - prefix.length;
  return prefix.address >>> shift === address >>> shift;
}

export function prefixesOverlap(one: Ipv4Prefix, other: Ipv4Prefix): boolean {
  return one.length <= other.length ? prefixContains(one, other.address) : prefixContains(other, one.address);
}

/** The network's own address: all host bits zero. */
export function networkOf({ address, length }: Ipv4Prefix): number {
  return length === 0 ? 0 : ((address >>> (32 - length)) << (32 - length)) >>> 0;
}

/** Whether it is the first or last address of the network: what is sent there would reach all of its hosts or none. */
export function isNetworkEnd(prefix: Ipv4Prefix, address: number): boolean {
  // RFC 3021: a network of two addresses has two hosts.
  if (prefix.length > 30 || !prefixContains(prefix, address)) return false;
  const first = networkOf(prefix);
  return address === first || address === first + 2 ** (32 - prefix.length) - 1;
}

/** The first address a host of the network can have, with the prefix length. */
export function firstHost(prefix: Ipv4Prefix): Ipv4Prefix {
  return { address: networkOf(prefix) + 1, length: prefix.length };
}

/** "10.59.7.0/24": the network an address with a prefix length is in. */
export function prefixText(prefix: Ipv4Prefix): string {
  return `${formatIpv4(networkOf(prefix))}/${prefix.length}`;
}

/**
 * What is not reachable as a public address: IANA special-purpose registry (RFC 6890 and its updates).
 * A gateway that reports one of these hands out an address nobody can reach.
 */
const NOT_GLOBAL = [
  "0.0.0.0/8", // this network, RFC 791
  "10.0.0.0/8", // private, RFC 1918
  "100.64.0.0/10", // shared by carrier NAT, RFC 6598
  "127.0.0.0/8", // loopback, RFC 1122
  "169.254.0.0/16", // link-local, RFC 3927
  "172.16.0.0/12", // private, RFC 1918
  "192.0.0.0/24", // protocol assignments, RFC 6890
  "192.0.2.0/24", // documentation, RFC 5737
  "192.88.99.0/24", // 6to4 relay, deprecated, RFC 7526
  "192.168.0.0/16", // private, RFC 1918
  "198.18.0.0/15", // benchmarking, RFC 2544
  "198.51.100.0/24", // documentation, RFC 5737
  "203.0.113.0/24", // documentation, RFC 5737
  "224.0.0.0/4", // multicast, RFC 5771
  "240.0.0.0/4", // reserved, RFC 1112
].map((text) => parseIpv4Prefix(text) as Ipv4Prefix);

export function isGlobalUnicastIpv4(text: string): boolean {
  const address = parseIpv4(text);
  return address !== null && !NOT_GLOBAL.some((prefix) => prefixContains(prefix, address));
}

/** An address a host can have: not this-network, loopback, multicast or reserved. */
export function isHostIpv4(text: string): boolean {
  const address = parseIpv4(text);
  if (address === null) return false;
  const first = address >>> 24;
  return first !== 0 && first !== 127 && first < 224;
}
