import { type Ipv4Prefix, parseIpv4, parseIpv4Prefix, prefixContains } from "./ip.ts";
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
