import { HOST_NAME } from "../../lib/endpoint.ts";
import { formatIpv4, parseIpv4, parseIpv4Prefix, prefixText } from "../../lib/ip.ts";
import { formatIpv6, ipv6Network, parseIpv6, parseIpv6Prefix } from "../../lib/ipv6.ts";
import { WIREGUARD_KEY } from "../../lib/wireguard-key.ts";

export const isWireguardKey = (text: string): boolean => WIREGUARD_KEY.test(text);

/** A number without signs, spaces or leading zeros; null if it is not one of 0…max. */
export function parseNumber(text: string, max: number): number | null {
  const value = /^(?:0|[1-9]\d{0,9})$/.test(text) ? Number(text) : Number.NaN;
  return value <= max ? value : null;
}

/** wg-quick(8): "10.59.7.2/24", without a length the address alone. The host part stays. */
export function parseAddress(text: string): string | null {
  const ipv4 = parseIpv4Prefix(text.includes("/") ? text : `${text}/32`);
  if (ipv4 !== null) return `${formatIpv4(ipv4.address)}/${ipv4.length}`;
  const ipv6 = parseIpv6Prefix(text.includes("/") ? text : `${text}/128`);
  return ipv6 === null ? null : `${formatIpv6(ipv6.groups)}/${ipv6.length}`;
}

/** As the kernel keeps an allowed prefix: without a host part. */
export function parseAllowedIp(text: string): string | null {
  const address = parseAddress(text);
  if (address === null) return null;
  const ipv4 = parseIpv4Prefix(address);
  if (ipv4 === null) return ipv6Network(parseIpv6Prefix(address) as NonNullable<ReturnType<typeof parseIpv6Prefix>>);
  return prefixText(ipv4);
}

/** wg-quick(8): a server's address, or a domain to search. */
export function parseDns(text: string): string | null {
  if (parseIpv4(text) !== null) return text;
  const groups = parseIpv6(text);
  if (groups !== null) return formatIpv6(groups);
  return HOST_NAME.test(text) && !/^[\d.]+$/.test(text) ? text : null;
}
