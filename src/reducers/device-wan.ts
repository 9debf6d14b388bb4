import type { Device, State, Subnet } from "./state.ts";
import { canonicalWan, preferredWan } from "./external-address.ts";

type Placed = Pick<Device, "wan" | "subnet">;

/**
 * The WAN that an operator chose for a device: its own, else its subnet's; null: none. `subnet` is what its subnet
 * becomes.
 */
export function chosenWan(state: State, device: Placed, subnet?: Pick<Subnet, "wan">): string | null {
  const home = subnet ?? (device.subnet === null ? undefined : state.subnets[device.subnet]);
  const named = device.wan ?? home?.wan ?? null;
  return named === null ? null : canonicalWan(state, named);
}

/** The WAN that a device's ports are on and its packets leave by: the chosen one, else the preferred one. */
export function wanOf(state: State, device: Placed, subnet?: Pick<Subnet, "wan">): string | null {
  return chosenWan(state, device, subnet) ?? preferredWan(state);
}

/** The same of whoever is on a served network: a stranger has the preferred one. */
export const wanFor = (state: State, device: Device | undefined): string | null =>
  device === undefined ? preferredWan(state) : wanOf(state, device);
