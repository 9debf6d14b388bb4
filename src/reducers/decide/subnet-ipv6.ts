import {
  ipv6Contains,
  ipv6Network,
  ipv6Overlap,
  type Ipv6Prefix,
  isGlobalUnicastIpv6,
  isUniqueLocalIpv6,
  parseIpv6Prefix,
} from "../../lib/ipv6.ts";
import { freePart, ipv6Links, ipv6Place, ipv6PrefixOf } from "../ipv6-place.ts";
import type { State, Subnet } from "../state.ts";
import type { Refusal } from "./command.ts";
import type { KnownRoute } from "./subnet.ts";

/** A device's address is the prefix and, behind it, its 32 bits of IPv4. */
const LENGTH_MAX = 96;
/** What a provider gets from its registry; no customer has more. */
const LENGTH_MIN = 29;

/** The prefix as it is kept: its network, in canonical form. Text that is no prefix stays for `badIpv6Prefix`. */
export function canonicalPrefix(text: string): string {
  const prefix = parseIpv6Prefix(text);
  return prefix === null ? text : ipv6Network(prefix);
}

/** Why a subnet cannot have this prefix; null: it can. `self`: the subnet that is to have it, if it is there. */
export function badIpv6Prefix(
  state: State,
  text: string,
  self: string | null,
  routes: readonly KnownRoute[],
): Refusal | null {
  const prefix = parseIpv6Prefix(text);
  if (prefix === null) return invalid(`${text} is not an IPv6 prefix, as in fd12:3456:789a::/64`);
  if (prefix.length > LENGTH_MAX) {
    return invalid(`${text} is too small: a device has 32 bits of its own in it; use one of /${LENGTH_MAX} or shorter`);
  }
  if (prefix.length < LENGTH_MIN) return invalid(`${text} is a large part of the internet; use a /64`);
  if (!isGlobalUnicastIpv6(prefix) && !isUniqueLocalIpv6(prefix)) {
    return invalid(`${text} is neither global (in 2000::/3) nor unique local (in fd00::/8)`);
  }
  const other = ipv6Rival(state, prefix, self);
  if (other !== null) return conflict(`${text} overlaps the subnet ${other.name} (${other.ipv6Prefix})`);
  return badOnLinks(state, text, prefix) ?? badAmongRoutes(state, text, prefix, routes);
}

/** Another subnet that has some of the same addresses. */
export function ipv6Rival(state: State, prefix: Ipv6Prefix, self: string | null): Subnet | null {
  const rival = Object.values(state.subnets).find((other) => {
    const theirs = ipv6PrefixOf(other);
    return other.id !== self && theirs !== null && ipv6Overlap(prefix, theirs);
  });
  return rival ?? null;
}

function badOnLinks(state: State, text: string, prefix: Ipv6Prefix): Refusal | null {
  const place = ipv6Place(state, prefix);
  if (place.kind === "taken") {
    const part = freePart(state, place.interface);
    const hint = part === null ? "" : `; a part of that network does, as in ${part}`;
    return conflict(`${text} does not go: ${place.interface} has ${place.address} in it${hint}`);
  }
  const { interfaces } = state.settings.wan;
  const lan = ipv6Links(state).find((link) => {
    return !interfaces.includes(link.interface) && ipv6Overlap(prefix, link.address);
  });
  return lan === undefined ? null : conflict(`${text} overlaps the network of ${lan.interface} (${lan.cidr})`);
}

/** A route around it is no conflict where it leads to a WAN, whose network ours is a part of, or to nowhere. */
function badAmongRoutes(state: State, text: string, prefix: Ipv6Prefix, routes: readonly KnownRoute[]): Refusal | null {
  const { wan, wireguard } = state.settings;
  const hit = routes.find((route) => {
    const other = parseIpv6Prefix(route.prefix);
    if (other === null || other.length === 0 || route.interface === wireguard?.interface) return false;
    const around = other.length < prefix.length && ipv6Contains(other, prefix);
    if (around && (route.interface === "lo" || wan.interfaces.includes(route.interface))) return false;
    return ipv6Overlap(prefix, other);
  });
  return hit === undefined ? null : conflict(`${text} overlaps the route ${hit.prefix} by ${hit.interface}`);
}

const invalid = (message: string): Refusal => ({ code: "INVALID_REQUEST", message });
const conflict = (message: string): Refusal => ({ code: "CONFLICT", message });
