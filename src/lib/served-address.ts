import { parseIpv4, parseIpv4Prefix, prefixContains } from "./ip.ts";

/** An address of a served interface. */
export interface Listener {
  readonly interface: string;
  readonly address: string;
  /** An interface that comes back has another: its old socket hears nothing any more. */
  readonly ifindex: number;
  /** Network of the address, as CIDR. */
  readonly subnet: string;
}

export const listenerKey = ({ interface: served, address, ifindex, subnet }: Listener): string =>
  `${served} ${address} ${ifindex} ${subnet}`;

/** Whether a source can be a device of the link (RFC 6886 §3.3): in a network of the interface, and not the gateway. */
export function isOnLink(links: Iterable<Listener>, served: string, source: string): boolean {
  const address = parseIpv4(source);
  if (address === null) return false;
  let inside = false;
  for (const link of links) {
    if (link.interface !== served) continue;
    if (link.address === source) return false;
    const subnet = parseIpv4Prefix(link.subnet);
    if (subnet !== null && prefixContains(subnet, address)) inside = true;
  }
  return inside;
}
