import type { DnsListener } from "../adapters/dns-server/messages.ts";
import type { Link, Links } from "../adapters/kernel/links.ts";
import type { Settings } from "../events/settings.ts";
import { withoutLength } from "../lib/ip.ts";
import { isIpv6 } from "../lib/ipv6.ts";
import { Networks } from "../lib/networks.ts";
import type { Listener } from "../lib/served-address.ts";
import { wanAddress } from "../reducers/external-address.ts";
import { viewsOf } from "../reducers/dns-view.ts";
import { type Served, tunnelInterface } from "../reducers/served.ts";
import type { State } from "../reducers/state.ts";

/**
 * Where port control is to be served: each address of each served interface that is there and up. NAT-PMP is of IPv4
 * (RFC 6886), and whoever looks for the router of IPv6 knows its link-local address (RFC 6887 §8.1).
 */
export function portControlListeners(
  { pcp, natpmp }: Settings["portControl"],
  served: readonly Pick<Served, "interface">[],
  links: Links,
): Listener[] {
  if (!pcp) return natpmp ? listenersOn(served, links) : [];
  return [...listenersOn(served, links), ...ipv6ListenersOn(served, links)];
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
  return linksOf(served, links).flatMap((link) =>
    listenersOf(
      link,
      link.addresses.filter((cidr) => !isIpv6(cidr)),
    ),
  );
}

/** Without an address that the world reaches there is nothing to ask for. */
function ipv6ListenersOn(served: readonly Pick<Served, "interface">[], links: Links): Listener[] {
  return linksOf(served, links).flatMap((link) => {
    const addresses = link.addresses.filter(isIpv6);
    return addresses.length === 0 ? [] : listenersOf(link, [...addresses, ...link.linkLocal]);
  });
}

function linksOf(served: readonly Pick<Served, "interface">[], links: Links): Link[] {
  const byName = new Map(links.links.map((link) => [link.name, link]));
  return served.flatMap(({ interface: name }) => {
    const link = byName.get(name);
    return link === undefined || !link.up ? [] : [link];
  });
}

function listenersOf({ name, index }: Link, subnets: readonly string[]): Listener[] {
  return subnets.map((subnet) => ({ interface: name, address: withoutLength(subnet), ifindex: index, subnet }));
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
