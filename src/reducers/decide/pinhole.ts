import type { Transport } from "../../events/fields.ts";
import { withoutLength } from "../../lib/ip.ts";
import {
  canonicalIpv6,
  ipv6Contains,
  type Ipv6Prefix,
  isGlobalUnicastIpv6,
  isUniqueLocalIpv6,
  parseIpv6,
  parseIpv6Prefix,
} from "../../lib/ipv6.ts";
import { TableIndex } from "../../lib/table-index.ts";
import { deviceAt } from "../device.ts";
import { deviceAtIpv6 } from "../ipv6-host.ts";
import type { Served } from "../served.ts";
import { type Device, type State, UNKNOWN_HOST } from "../state.ts";
import type { Refusal } from "./command.ts";
import { CONTROL_PORTS } from "./external-port.ts";

/** Devices of a LAN that may not open ports as they like. */
const BOUND = new TableIndex<Device>(({ interface: lan, ports }) => (ports === "auto" ? null : lan));

/** The host behind an IPv6 address, as far as it is known. */
export interface Ipv6Host {
  readonly device: Device | undefined;
  /** What it is counted by. */
  readonly host: string;
}

/**
 * Who an IPv6 address of a served interface is, or why nobody of it can be let in to. On our subnets WireGuard proves it;
 * on a LAN `station` is the IPv4 address that the same station has there, null: none is known.
 */
export function hostBehind(state: State, served: Served, address: string, station: string | null): Ipv6Host | Refusal {
  const unfit = unfitAddress(state, served, address);
  if (unfit !== null) return unfit;
  if (served.tunnel) {
    const device = deviceAtIpv6(state, address);
    return { device, host: device?.address ?? UNKNOWN_HOST };
  }
  if (station !== null) return { device: deviceAt(state, served.interface, station), host: station };
  const bound = BOUND.countAt(state.devices, served.interface);
  if (bound === 0) return { device: undefined, host: UNKNOWN_HOST };
  const message = `nobody knows which host ${address} is, and not every one of ${served.interface} may open ports as it likes (registered ones that may not: ${bound}); a host that has an IPv4 address there too is known by it`;
  return { code: "NOT_AUTHORIZED", message };
}

function unfitAddress(state: State, served: Served, address: string): Refusal | null {
  const groups = parseIpv6(address);
  const host = groups === null ? null : { groups, length: 128 };
  if (host === null || canonicalIpv6(address) !== address || !isReached(state, host)) {
    const message = `${address} is no address that the world reaches; ask from a global one`;
    return { code: "NOT_AUTHORIZED", message };
  }
  if (served.tunnel) return null;
  const cidrs = state.interfaces[served.interface]?.addresses ?? [];
  const own = Object.values(state.interfaces).some((link) => link.addresses.map(withoutLength).includes(address));
  const inside = cidrs.some((cidr) => {
    const network = parseIpv6Prefix(cidr);
    return network !== null && ipv6Contains(network, host);
  });
  if (own) return { code: "NOT_AUTHORIZED", message: `${address} is the gateway itself` };
  if (inside) return null;
  // Its sockets follow an interface sooner than what is known of it.
  const message = `${address} is in no network that is known of ${served.interface}; ask again in a moment`;
  return { code: "NO_EXTERNAL_ADDRESS", message, retryAfter: 5 };
}

/** A unique local address is reached where the way out has one too: behind another router of the same site. */
function isReached({ settings, interfaces }: State, host: Ipv6Prefix): boolean {
  if (isGlobalUnicastIpv6(host)) return true;
  if (!isUniqueLocalIpv6(host)) return false;
  return settings.wan.interfaces.some((wan) =>
    (interfaces[wan]?.addresses ?? []).some((cidr) => {
      const prefix = parseIpv6Prefix(cidr);
      return prefix !== null && isUniqueLocalIpv6({ ...prefix, length: 128 });
    }),
  );
}

/** Why no device may let anybody in to a port of its own. What the gateway itself listens to is another host's here. */
export function closedToPinholes(state: State, protocol: Transport, port: number): Refusal | null {
  const why = state.settings.portControl.protectedPorts.includes(port)
    ? "the port is in portControl.protectedPorts"
    : protocol === "udp" && CONTROL_PORTS.has(port)
      ? "the port belongs to port control itself"
      : null;
  if (why === null) return null;
  // RFC 6887 §7.4: there is no other external port that could be given, so that it is not a matter of the port.
  return { code: "NOT_AUTHORIZED", message: `${protocol} ${port} cannot be opened: ${why}` };
}
