import { formatIpv4, networkOf, parseIpv4Prefix, type Ipv4Prefix } from "../../../../lib/ip.ts";
import { formatIpv6, type Ipv6Prefix, parseIpv6Prefix } from "../../../../lib/ipv6.ts";
import { TYPE } from "../../../../protocols/dns/constants.ts";
import { type RecordSkim, serviceParameters, uint16, uint32 } from "../../../../protocols/dns/skim.ts";

/**
 * DNS rebinding: a name of the internet that leads into this network turns a browser here into somebody else's hand.
 * No public name has business with these addresses.
 */
const PRIVATE = [
  "0.0.0.0/8", // this host, RFC 1122
  "10.0.0.0/8", // RFC 1918
  "100.64.0.0/10", // RFC 6598
  "127.0.0.0/8", // RFC 1122
  "169.254.0.0/16", // RFC 3927
  "172.16.0.0/12", // RFC 1918
  "192.0.0.0/29", // RFC 7335: either end of a DS-Lite tunnel
  "192.168.0.0/16", // RFC 1918
  "::/96", // RFC 4291: of this host, and IPv4 that it once was written as
  "::ffff:0:0/96", // RFC 4291 §2.5.5.2: IPv4 by another name
  "::ffff:0:0:0/96", // RFC 2765 §2.1: the same
  "fc00::/7", // RFC 4193
  "fe80::/10", // RFC 4291
  "fec0::/10", // RFC 3879
];

/** Who routes such an address takes the IPv4 address out of it, and goes there: the octets it may be in. */
const WITH_IPV4: readonly { readonly prefix: Ipv6Prefix; readonly places: readonly (readonly number[])[] }[] = [
  { prefix: prefixOf("2002::/16"), places: [[2, 3, 4, 5]] }, // RFC 3056 §2
  { prefix: prefixOf("64:ff9b::/96"), places: [[12, 13, 14, 15]] }, // RFC 6052 §2.1
  {
    // RFC 8215, of any length that RFC 6052 §2.2 has: which one only its network knows.
    prefix: prefixOf("64:ff9b:1::/48"),
    places: [
      [6, 7, 9, 10],
      [7, 9, 10, 11],
      [9, 10, 11, 12],
      [12, 13, 14, 15],
    ],
  },
];

function prefixOf(text: string): Ipv6Prefix {
  return parseIpv6Prefix(text) as Ipv6Prefix;
}

/** SvcParamKeys, RFC 9460 §14.3.2. */
const IPV4_HINT = 4;
const IPV6_HINT = 6;

export class AddressCheck {
  readonly #ipv4: Ipv4Prefix[];
  readonly #ipv6: Ipv6Prefix[];

  /** `own`: networks we serve, in CIDR; of public addresses too, they are nobody's to name. */
  constructor(own: readonly string[]) {
    const all = [...PRIVATE, ...own];
    this.#ipv4 = all
      .flatMap((text) => parseIpv4Prefix(text) ?? [])
      .map((prefix) => ({ ...prefix, address: networkOf(prefix) }));
    this.#ipv6 = all.flatMap((text) => (text.includes(":") ? (parseIpv6Prefix(text) ?? []) : []));
  }

  /** The first private address that the records hold, as text; null if there is none. */
  find(bytes: Uint8Array, records: readonly RecordSkim[]): string | null {
    for (const record of records) {
      // In whatever class: clients there are that do not look at it.
      const found = this.#inRecord(bytes, record);
      if (found !== null) return found;
    }
    return null;
  }

  #inRecord(bytes: Uint8Array, record: RecordSkim): string | null {
    if (record.type === TYPE.A) return this.#ipv4At(bytes, record.dataAt);
    if (record.type === TYPE.AAAA) return this.#ipv6At(bytes, record.dataAt);
    if (record.type !== TYPE.SVCB && record.type !== TYPE.HTTPS) return null;
    for (const { key, at, end } of serviceParameters(bytes, record)) {
      const size = key === IPV4_HINT ? 4 : 16;
      if (key !== IPV4_HINT && key !== IPV6_HINT) continue;
      for (let address = at; address + size <= end; address += size) {
        const found = key === IPV4_HINT ? this.#ipv4At(bytes, address) : this.#ipv6At(bytes, address);
        if (found !== null) return found;
      }
    }
    return null;
  }

  #ipv4At(bytes: Uint8Array, at: number): string | null {
    const value = uint32(bytes, at);
    return this.#isPrivate(value) ? formatIpv4(value) : null;
  }

  #isPrivate(value: number): boolean {
    return this.#ipv4.some(
      ({ address, length }) => length === 0 || value >>> (32 - length) === address >>> (32 - length),
    );
  }

  #ipv6At(bytes: Uint8Array, at: number): string | null {
    const groups = Array.from({ length: 8 }, (_, index) => uint16(bytes, at + index * 2));
    const isPrivate =
      this.#ipv6.some((prefix) => isIn(groups, prefix)) ||
      ipv4Within(groups, bytes.subarray(at, at + 16)).some((value) => this.#isPrivate(value));
    return isPrivate ? formatIpv6(groups) : null;
  }
}

/** The IPv4 addresses that may be meant; 0.0.0.0/8 is what is read where none is. */
function ipv4Within(groups: readonly number[], octets: Uint8Array): number[] {
  const places = WITH_IPV4.find(({ prefix }) => isIn(groups, prefix))?.places ?? [];
  const values = places.map((place) =>
    uint32(
      Uint8Array.from(place, (index) => octets[index] as number),
      0,
    ),
  );
  return values.filter((value) => value >>> 24 !== 0);
}

function isIn(groups: readonly number[], prefix: Ipv6Prefix): boolean {
  for (let bits = prefix.length, index = 0; bits > 0; bits -= 16, index += 1) {
    const mask = bits >= 16 ? 0xffff : (0xffff << (16 - bits)) & 0xffff;
    if (((groups[index] as number) & mask) !== ((prefix.groups[index] as number) & mask)) return false;
  }
  return true;
}
