import { formatIpv4 } from "../lib/ip.ts";
import { ipv6Contains, ipv6For, type Ipv6Prefix, parseIpv6 } from "../lib/ipv6.ts";
import { deviceAt } from "./device.ts";
import { ipv6PrefixOf } from "./ipv6-place.ts";
import type { Device, State } from "./state.ts";

/** The IPv6 address of a device on a subnet; null where it has none. */
export function deviceIpv6(
  { subnets }: Pick<State, "subnets">,
  { subnet: id, address }: Pick<Device, "subnet" | "address">,
): string | null {
  const subnet = id === null ? undefined : subnets[id];
  const prefix = subnet === undefined ? null : ipv6PrefixOf(subnet);
  return prefix === null ? null : ipv6For(prefix, address);
}

/** The device whose address of a subnet's IPv6 prefix this is. */
export function deviceWithIpv6(state: State, prefix: Ipv6Prefix, address: string): Device | undefined {
  const [high = 0, low = 0] = parseIpv6(address)?.slice(6) ?? [];
  const ipv4 = formatIpv4(high * 0x1_0000 + low);
  return ipv6For(prefix, ipv4) === address ? deviceAt(state, null, ipv4) : undefined;
}

/** And of any subnet's. */
export function deviceAtIpv6(state: State, address: string): Device | undefined {
  const groups = parseIpv6(address);
  for (const subnet of groups === null ? [] : Object.values(state.subnets)) {
    const prefix = ipv6PrefixOf(subnet);
    if (groups === null || prefix === null || !ipv6Contains(prefix, { groups, length: 128 })) continue;
    const device = deviceWithIpv6(state, prefix, address);
    return device?.subnet === subnet.id ? device : undefined;
  }
  return undefined;
}
