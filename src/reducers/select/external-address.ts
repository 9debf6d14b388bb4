import { isGlobalUnicastIpv4, isHostIpv4 } from "../../lib/ip.ts";
import type { Interface, State, WanAddress } from "../state.ts";

type Topology = Pick<State, "settings" | "interfaces">;

/** An interface's row is never changed, only replaced; each request asks for its address several times. */
const known = new WeakMap<Interface, { readonly literal: string; readonly address: WanAddress | null }>();

/** What a WAN's mappings hang on now, or null while it has no usable address. */
export function wanAddress(state: Topology, wan: string): WanAddress | null {
  const literal = state.settings.wan.externalAddress;
  const link = state.interfaces[wan];
  if (link === undefined || !link.up) return null;
  const last = known.get(link);
  if (last?.literal === literal) return last.address;
  const address = addressOf(link, literal);
  known.set(link, { literal, address });
  return address;
}

function addressOf(link: Interface, literal: string): WanAddress | null {
  const own = link.addresses.map((cidr) => cidr.slice(0, cidr.indexOf("/"))).filter((each) => isHostIpv4(each));
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
