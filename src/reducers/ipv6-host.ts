import { formatIpv4 } from "../lib/ip.ts";
import { ipv6Contains, ipv6For, type Ipv6Prefix, parseIpv6, parseIpv6Prefix } from "../lib/ipv6.ts";
import { tableRows } from "../lib/table.ts";
import { deviceAt } from "./device.ts";
import type { Device, State, Subnet } from "./state.ts";

/** The IPv6 address of a device on a subnet; null where it has none. */
export function deviceIpv6(
  state: Pick<State, "subnets">,
  device: Pick<Device, "subnet" | "address">,
  subnet: Pick<Subnet, "ipv6Prefix"> | undefined = device.subnet === null ? undefined : state.subnets[device.subnet],
): string | null {
  const prefix = subnet?.ipv6Prefix == null ? null : parseIpv6Prefix(subnet.ipv6Prefix);
  return prefix === null ? null : ipv6For(prefix, device.address);
}

/** The device on a subnet whose IPv6 address this is. */
export function deviceAtIpv6(state: State, address: string): Device | undefined {
  const groups = parseIpv6(address);
  if (groups === null) return undefined;
  const host: Ipv6Prefix = { groups, length: 128 };
  for (const subnet of Object.values(state.subnets)) {
    const prefix = subnet.ipv6Prefix === null ? null : parseIpv6Prefix(subnet.ipv6Prefix);
    if (prefix === null || !ipv6Contains(prefix, host)) continue;
    const device = deviceAt(state, null, formatIpv4(lastBits(groups)));
    if (device?.subnet === subnet.id && ipv6For(prefix, device.address) === address) return device;
    // Of a long prefix the last bits are the address's and the prefix's.
    if (prefix.length <= SHORT) return undefined;
    return [...tableRows(state.devices)].find(
      (each) => each.subnet === subnet.id && ipv6For(prefix, each.address) === address,
    );
  }
  return undefined;
}

/** Prefixes up to here leave all of the last 32 bits to the IPv4 address. */
const SHORT = 96;

const lastBits = (groups: readonly number[]): number => (((groups[6] ?? 0) << 16) | (groups[7] ?? 0)) >>> 0;
