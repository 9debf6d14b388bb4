import { type Ipv4Prefix, isHostIpv4, isNetworkEnd, parseIpv4, parseIpv4Prefix, prefixContains } from "../../lib/ip.ts";
import { tunnelInterface } from "../served.ts";
import type { State, Subnet } from "../state.ts";
import type { Refusal } from "./command.ts";

/** The served interface whose network an address is in. */
export function servedInterfaceOf(state: State, address: string): string | null {
  const value = parseIpv4(address);
  if (value === null) return null;
  if (subnetOf(state, value) !== undefined) return tunnelInterface(state);
  const served = state.settings.lan.find((lan) =>
    (state.interfaces[lan.interface]?.addresses ?? []).some((cidr) => {
      const prefix = parseIpv4Prefix(cidr);
      return prefix !== null && prefixContains(prefix, value);
    }),
  );
  return served?.interface ?? null;
}

const subnetOf = (state: State, address: number): Subnet | undefined =>
  Object.values(state.subnets).find(({ prefix }) => prefixContains(parseIpv4Prefix(prefix) as Ipv4Prefix, address));

function isEndOfServed(state: State, address: string): boolean {
  const value = parseIpv4(address);
  const lans = state.settings.lan.flatMap((lan) => state.interfaces[lan.interface]?.addresses ?? []);
  return [...lans, ...Object.values(state.subnets).map((subnet) => subnet.prefix)].some((cidr) => {
    const prefix = parseIpv4Prefix(cidr);
    return value !== null && prefix !== null && isNetworkEnd(prefix, value);
  });
}

/** Why an address is no host that packets can be sent on to. */
export function unfitHost(state: State, address: string): Refusal | null {
  if (!isHostIpv4(address)) {
    return { code: "INVALID_REQUEST", message: `${address} is not an address a host can have` };
  }
  const links = Object.values(state.interfaces).flatMap((link) => link.addresses);
  const own = [...links, ...Object.values(state.subnets).map((subnet) => subnet.prefix)].some((cidr) =>
    cidr.startsWith(`${address}/`),
  );
  if (own) {
    const message = `${address} is the gateway itself; a forward goes to another host`;
    return { code: "INVALID_REQUEST", message };
  }
  if (isEndOfServed(state, address)) {
    const message = `${address} is the address of a whole network, not of a host in it`;
    return { code: "INVALID_REQUEST", message };
  }
  return null;
}
