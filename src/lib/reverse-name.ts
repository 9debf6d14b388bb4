import { formatIpv4, isGlobalUnicastIpv4, networkOf, parseIpv4, parseIpv4Prefix } from "./ip.ts";
import { formatIpv6, parseIpv6, parseIpv6Prefix } from "./ipv6.ts";

/** Names by which addresses are looked up: RFC 1035 §3.5, RFC 3596 §2.5. */
const IPV4_ZONE = ".in-addr.arpa";
const IPV6_ZONE = ".ip6.arpa";

export const isReverseName = (name: string): boolean =>
  `.${name}`.endsWith(IPV4_ZONE) || `.${name}`.endsWith(IPV6_ZONE);

/** "10.59.7.2" → "2.7.59.10.in-addr.arpa"; null where the text is no address. */
export function reverseName(address: string): string | null {
  if (parseIpv4(address) !== null) return address.split(".").toReversed().join(".") + IPV4_ZONE;
  const groups = parseIpv6(address);
  return groups === null ? null : nibblesOf(groups).toReversed().join(".") + IPV6_ZONE;
}

/** The inverse, in canonical text; null where the name is no address's. */
export function addressOfReverse(name: string): string | null {
  if (name.endsWith(IPV4_ZONE)) {
    const address = name.slice(0, -IPV4_ZONE.length).split(".").toReversed().join(".");
    const value = parseIpv4(address);
    return value === null || formatIpv4(value) !== address ? null : address;
  }
  if (!name.endsWith(IPV6_ZONE)) return null;
  const nibbles = name.slice(0, -IPV6_ZONE.length).split(".").toReversed();
  if (nibbles.length !== 32 || !nibbles.every((nibble) => /^[0-9a-f]$/.test(nibble))) return null;
  const groups = Array.from({ length: 8 }, (_, at) => Number.parseInt(nibbles.slice(at * 4, at * 4 + 4).join(""), 16));
  return formatIpv6(groups);
}

/**
 * Zones that hold the reverse names of a network. Its parts end at octets (IPv6: nibbles); the few addresses of a private
 * one that is smaller than a /24 are in the zone of all of that /24. Of a public one like that only its names are ours.
 */
export function reverseZones(cidr: string): string[] {
  const prefix = parseIpv4Prefix(cidr);
  if (prefix !== null) {
    const octets = Math.min(3, Math.ceil(prefix.length / 8));
    if (octets === 0) return [];
    const first = networkOf(prefix);
    if (prefix.length > 24 && isGlobalUnicastIpv4(formatIpv4(first))) return [];
    const parts = 2 ** Math.max(0, octets * 8 - prefix.length);
    return Array.from({ length: parts }, (_, part) => {
      const network = formatIpv4(first + part * 2 ** (32 - octets * 8)).split(".");
      return network.slice(0, octets).toReversed().join(".") + IPV4_ZONE;
    });
  }
  const ipv6 = parseIpv6Prefix(cidr);
  if (ipv6 === null || ipv6.length < 4) return [];
  // Prefixes of subnets end at nibbles; of another one the larger zone holds all.
  return [
    nibblesOf(ipv6.groups)
      .slice(0, Math.floor(ipv6.length / 4))
      .toReversed()
      .join(".") + IPV6_ZONE,
  ];
}

const nibblesOf = (groups: readonly number[]): string[] =>
  groups.flatMap((group) => group.toString(16).padStart(4, "0").split(""));
