import { ipv6Contains, ipv6Network, type Ipv6Prefix, isUniqueLocalIpv6, parseIpv6Prefix } from "../lib/ipv6.ts";
import type { State, Subnet } from "./state.ts";
import type { Topology } from "./topology.ts";

/** How the world finds the way to an IPv6 prefix of a subnet. */
export type Ipv6Place =
  /** Not at all (RFC 4193): its addresses are for our own devices. */
  | { readonly kind: "local" }
  /** It is part of these WANs' own networks: the gateway answers for each address there (NDP proxy, RFC 4389). */
  | { readonly kind: "on-link"; readonly wans: readonly string[] }
  /** By a route that the provider has to it. */
  | { readonly kind: "routed" }
  /** It holds an address that an interface of ours has: a route to it would cut off that interface's own network. */
  | { readonly kind: "taken"; readonly interface: string; readonly address: string };

/** IPv6 networks of the interfaces we know, other than of our own WireGuard. */
export function ipv6Links({
  settings,
  interfaces,
}: Topology): { interface: string; cidr: string; address: Ipv6Prefix }[] {
  return Object.values(interfaces).flatMap(({ name, addresses }) =>
    name === settings.wireguard?.interface
      ? []
      : addresses.flatMap((cidr) => {
          const address = parseIpv6Prefix(cidr);
          return address === null ? [] : [{ interface: name, cidr, address }];
        }),
  );
}

export function ipv6Place(state: Topology, prefix: Ipv6Prefix): Ipv6Place {
  const links = ipv6Links(state);
  const taken = links.find(({ address }) => ipv6Contains(prefix, { ...address, length: 128 }));
  if (taken !== undefined) return { kind: "taken", interface: taken.interface, address: taken.cidr };
  if (isUniqueLocalIpv6(prefix)) return { kind: "local" };
  const around = links.filter(({ address }) => ipv6Contains(address, prefix)).map((link) => link.interface);
  const wans = state.settings.wan.interfaces.filter((name) => around.includes(name));
  return wans.length > 0 ? { kind: "on-link", wans } : { kind: "routed" };
}

/** Null: the subnet has no IPv6. */
export function ipv6PrefixOf({ ipv6Prefix }: Pick<Subnet, "ipv6Prefix">): Ipv6Prefix | null {
  return ipv6Prefix === null ? null : parseIpv6Prefix(ipv6Prefix);
}

const PART_LENGTH = 80;
/** Of the 16 bits behind a /64, as many are tried. */
const PARTS_TRIED = 256;

/** A part of a WAN's own network that nothing has, "2001:db8:1:0:59::/80"; null: it is too small to be parted. */
export function freePart(state: Pick<State, "settings" | "interfaces" | "subnets">, wan: string): string | null {
  const links = ipv6Links(state);
  const network = links.find((link) => link.interface === wan && !isUniqueLocalIpv6(link.address))?.address;
  if (network === undefined || network.length > PART_LENGTH - 16) return null;
  const used = [
    ...links.map(({ address }) => ({ ...address, length: 128 })),
    ...Object.values(state.subnets).flatMap((subnet) => ipv6PrefixOf(subnet) ?? []),
  ];
  for (let step = 0; step < PARTS_TRIED; step += 1) {
    const groups = network.groups.map((group, index) => (index === 4 ? 0x59 + step : index > 4 ? 0 : group));
    const part = { groups, length: PART_LENGTH };
    if (!used.some((each) => ipv6Contains(part, each) || ipv6Contains(each, part))) return ipv6Network(part);
  }
  return null;
}
