import { isGlobalUnicastIpv4, isHostIpv4, parseIpv4, withoutLength } from "../lib/ip.ts";
import { isIpv6 } from "../lib/ipv6.ts";
import type { Interface, WanAddress } from "./state.ts";
import type { Topology } from "./topology.ts";

/** An interface's row is never changed, only replaced; each request asks for its address several times. */
const known = new WeakMap<Interface, { readonly literal: string; readonly address: WanAddress | null }>();

/** What a WAN's mappings hang on now, or null while it has no usable address. */
export function wanAddress(state: Topology, wan: string): WanAddress | null {
  if (parseIpv4(wan) !== null) return ownAddress(state, wan);
  // A pinhole is where its host is.
  if (isIpv6(wan)) return { reported: wan, matched: wan };
  const literal = state.settings.wan.externalAddress;
  const link = state.interfaces[wan];
  if (link === undefined || !link.up) return null;
  const last = known.get(link);
  if (last?.literal === literal) return last.address;
  const address = addressOf(link, literal);
  known.set(link, { literal, address });
  return address;
}

/** A WAN that is one address: while an interface that is up has it. It may be private behind 1:1 NAT of its own. */
function ownAddress(state: Topology, address: string): WanAddress | null {
  const there = state.settings.wan.interfaces.some((name) => {
    const link = state.interfaces[name];
    return link?.up === true && link.addresses.some((cidr) => cidr.startsWith(`${address}/`));
  });
  return there && isGlobalUnicastIpv4(address) ? { reported: address, matched: address } : null;
}

function addressOf(link: Interface, literal: string): WanAddress | null {
  const own = link.addresses.map(withoutLength).filter((each) => isHostIpv4(each));
  if (literal !== "auto") {
    const matched = own.find((address) => !address.startsWith("169.254."));
    return matched === undefined ? null : { reported: literal, matched };
  }
  const global = own.find((address) => isGlobalUnicastIpv4(address));
  return global === undefined ? null : { reported: global, matched: global };
}

/** The address clients of a WAN are told: its first global unicast one, or the configured literal; null while it has none. */
export function externalAddress(state: Topology, wan: string): string | null {
  return wanAddress(state, wan)?.reported ?? null;
}

/** The WAN that new mappings are made on: the first configured or found. */
export function preferredWan(state: Topology): string | null {
  return state.settings.wan.interfaces[0] ?? null;
}

/** Every WAN that something can hang on: the interfaces, then each further public address of one. */
export function knownWans(state: Topology): string[] {
  const { interfaces } = state.settings.wan;
  const own = interfaces.flatMap((name) => state.interfaces[name]?.addresses ?? []);
  const addresses = own.map(withoutLength).filter((each) => isGlobalUnicastIpv4(each));
  return [...interfaces, ...new Set(addresses.filter((address) => canonicalWan(state, address) === address))];
}

/** One name for one WAN: an address that is an interface's first is that interface, so that no port is given twice. */
export function canonicalWan(state: Topology, wan: string): string {
  if (parseIpv4(wan) === null) return wan;
  return state.settings.wan.interfaces.find((name) => wanAddress(state, name)?.matched === wan) ?? wan;
}
