import { type Ipv4Prefix, networkOf, parseIpv4, parseIpv4Prefix, prefixContains, prefixText } from "./ip.ts";
import { type Ipv6Prefix, ipv6Contains, parseIpv6, parseIpv6Prefix } from "./ipv6.ts";

/** Networks of either family: "10.59.7.0/24", "fd00:7::/64". What is none holds no address. */
export class Networks {
  readonly #ipv4: readonly Ipv4Prefix[];
  readonly #ipv6: readonly Ipv6Prefix[];

  constructor(cidrs: readonly string[]) {
    this.#ipv4 = cidrs.flatMap((text) => parseIpv4Prefix(text) ?? []);
    this.#ipv6 = cidrs.flatMap((text) => parseIpv6Prefix(text) ?? []);
  }

  contain(address: string): boolean {
    const ipv4 = parseIpv4(address);
    if (ipv4 !== null) return this.#ipv4.some((prefix) => prefixContains(prefix, ipv4));
    const groups = parseIpv6(address);
    return groups !== null && this.#ipv6.some((prefix) => ipv6Contains(prefix, { groups, length: 128 }));
  }
}

/** IPv4 networks and single addresses as sorted networks, none within another. Null: not all are any. */
export function distinctNetworks(texts: readonly string[]): string[] | null {
  const prefixes = texts.map((text) => parseIpv4Prefix(text.includes("/") ? text : `${text}/32`));
  if (prefixes.includes(null)) return null;
  const sorted = (prefixes as Ipv4Prefix[]).sort((a, b) => a.length - b.length || networkOf(a) - networkOf(b));
  const kept: Ipv4Prefix[] = [];
  for (const prefix of sorted) {
    if (!kept.some((wider) => prefixContains(wider, prefix.address))) kept.push(prefix);
  }
  return kept.map(prefixText);
}
