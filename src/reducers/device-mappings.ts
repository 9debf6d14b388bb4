import { tableGet } from "../lib/table.ts";
import { addressesOfDevice } from "./dns-view.ts";
import { operatorHolds } from "./operator-holds.ts";
import { siteInterface } from "./served.ts";
import { type Device, type Mapping, type State, usageKey } from "./state.ts";

/** Every mapping that leads to a device, whoever asked for it. */
export function mappingsOf(state: State, device: Device): Mapping[] {
  const site = siteInterface(state, device);
  const own = site === null ? [] : (tableGet(state.usages, usageKey(site, device.address))?.mappingIds ?? []);
  const addresses = addressesOfDevice(state, device);
  const kept = (["tcp", "udp"] as const).flatMap((protocol) =>
    addresses.flatMap((address) => operatorHolds(state, address, protocol)),
  );
  const mappings = [...new Set([...own, ...kept])].flatMap((id) => tableGet(state.mappings, id) ?? []);
  return mappings.sort((a, b) => a.createdSeq - b.createdSeq);
}
