import { isGlobalUnicastIpv4, isHostIpv4 } from "../../lib/ip.ts";
import type { State, WanAddress } from "../state.ts";

type Topology = Pick<State, "settings" | "interfaces">;

function ipv4Addresses(state: Topology, wan: string): string[] {
  const link = state.interfaces[wan];
  if (link === undefined || !link.up) return [];
  return link.addresses.map((cidr) => cidr.slice(0, cidr.indexOf("/"))).filter((address) => isHostIpv4(address));
}

/** What a WAN's mappings hang on now, or null while it has no usable address. */
export function wanAddress(state: Topology, wan: string): WanAddress | null {
  const literal = state.settings.wan.externalAddress;
  const own = ipv4Addresses(state, wan);
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
