import { parseIpv4, parseIpv4Prefix, prefixContains } from "../lib/ip.ts";
import { tableRows } from "../lib/table.ts";
import type { Device, State } from "./state.ts";

/** Whether an operator lets a device ask for ports of another address. */
export function mayAskFor({ ports, mapsFor }: Pick<Device, "ports" | "mapsFor">, address: string): boolean {
  const value = parseIpv4(address);
  if (value === null || ports === "off") return false;
  return mapsFor.map(parseIpv4Prefix).some((prefix) => prefix !== null && prefixContains(prefix, value));
}

/** Whether the device of an address is let ask in the place of a host. */
export const isAskedForBy = (state: State, host: string, asker: string | null): boolean =>
  [...tableRows(state.devices)].some((device) => device.address === asker && mayAskFor(device, host));
