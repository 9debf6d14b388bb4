import { Networks } from "./networks.ts";

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

/** A listener never changes, only its place in a list; each request asks for its network. */
const networks = new WeakMap<Listener, Networks>();

function networkOf(listener: Listener): Networks {
  const known = networks.get(listener) ?? new Networks([listener.subnet]);
  networks.set(listener, known);
  return known;
}

/** Whether a source can be a device of the link (RFC 6886 §3.3): in a network of the interface, and not the gateway. */
export function isOnLink(links: Iterable<Listener>, served: string, source: string): boolean {
  let inside = false;
  for (const link of links) {
    if (link.interface !== served) continue;
    if (link.address === source) return false;
    if (networkOf(link).contain(source)) inside = true;
  }
  return inside;
}
