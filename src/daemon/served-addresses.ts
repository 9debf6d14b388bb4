import type { DnsListener } from "../adapters/dns-server/messages.ts";
import type { Link, Links } from "../adapters/kernel/links.ts";
import type { Settings } from "../events/settings.ts";
import { withoutLength } from "../lib/ip.ts";
import { Networks } from "../lib/networks.ts";
import type { Listener } from "../lib/served-address.ts";
import { wanAddress } from "../reducers/select/external-address.ts";
import { viewsOf } from "../reducers/dns-view.ts";
import { type Served, tunnelInterface } from "../reducers/served.ts";
import type { State } from "../reducers/state.ts";

/** Where port control is to be served: each IPv4 address of each served interface that is there and up. */
export function portControlListeners(
  { pcp, natpmp }: Settings["portControl"],
  served: readonly Pick<Served, "interface">[],
  links: Links,
): Listener[] {
  return pcp || natpmp ? listenersOn(served, links) : [];
}

/** Where UPnP is to be served: at the same addresses, but it can be switched off alone. */
export function upnpListeners(
  { upnp }: Settings["portControl"],
  served: readonly Pick<Served, "interface">[],
  links: Links,
): Listener[] {
  return upnp ? listenersOn(served, links) : [];
}

function listenersOn(served: readonly Pick<Served, "interface">[], links: Links): Listener[] {
  const byName = new Map(links.links.map((link) => [link.name, link]));
  return served.flatMap(({ interface: name }) => {
    const link = byName.get(name);
    return link === undefined || !link.up ? [] : listenersOf(link);
  });
}

function listenersOf({ name, index, addresses }: Link): Listener[] {
  return addresses
    .filter((cidr) => !cidr.includes(":"))
    .map((subnet) => ({ interface: name, address: withoutLength(subnet), ifindex: index, subnet }));
}

/** Where DNS is to be served: each address that the gateway has in a network of a view, on an interface that is up. */
export function dnsListeners(state: State, links: Links): DnsListener[] {
  const byName = new Map(links.links.map((link) => [link.name, link]));
  const { listenPort: port } = state.settings.dns;
  return viewsOf(state).flatMap(({ id: view, interface: served, networks, subnet }) => {
    const link = byName.get(served);
    if (link === undefined || !link.up || (subnet !== null && tunnelInterface(state) === null)) return [];
    const { index: ifindex, addresses } = link;
    const within = new Networks(networks);
    return addresses
      .map(withoutLength)
      .filter((address) => within.contain(address))
      .map((address) => ({ view, interface: served, address, port, ifindex }));
  });
}

/** The configured WANs, or those of the default routes; while there is no route, those there were. */
export function wanInterfaces(configured: readonly string[], links: Links, state: State): readonly string[] {
  if (configured.length > 0) return configured;
  return links.defaultRoutes.length > 0 ? links.defaultRoutes : state.settings.wan.interfaces;
}

/** What packets to the WANs carry now. */
export function wanAddresses(state: State): string[] {
  return state.settings.wan.interfaces.flatMap((wan) => wanAddress(state, wan)?.matched ?? []);
}

/** By which others know the WANs: behind 1:1 NAT no interface has them. */
export function reportedAddresses(state: State): string[] {
  return state.settings.wan.interfaces.flatMap((wan) => wanAddress(state, wan)?.reported ?? []);
}
