import { tableGet } from "../lib/table.ts";
import { addressesOfDevice } from "./dns-view.ts";
import { operatorHolds } from "./operator-holds.ts";
import { pinholesOfHost } from "./pinholes.ts";
import { siteOf } from "./served.ts";
import type { Device, Mapping, State } from "./state.ts";
import { heldBy } from "./usage.ts";

/** Every mapping that leads to a device, whoever asked for it. */
export function mappingsOf(state: State, device: Device): Mapping[] {
  const own = heldBy(state, device.interface, device.address);
  const inside = pinholesOfHost(state, device.address).filter(({ interface: name }) => {
    return name !== null && siteOf(state, name) === device.interface;
  });
  const addresses = addressesOfDevice(state, device);
  const kept = (["tcp", "udp"] as const).flatMap((protocol) =>
    addresses.flatMap((address) => operatorHolds(state, address, protocol)),
  );
  const mappings = new Set([...own, ...inside, ...kept.flatMap((id) => tableGet(state.mappings, id) ?? [])]);
  return [...mappings].sort((a, b) => a.createdSeq - b.createdSeq);
}
