import { parseIpv4Prefix, prefixText, withoutLength } from "../../lib/ip.ts";
import { tableRows } from "../../lib/table.ts";
import { zoneOfSubnet } from "../../reducers/dns-view.ts";
import { canonicalWan, externalAddress, preferredWan } from "../../reducers/external-address.ts";
import type { State, Subnet } from "../../reducers/state.ts";
import type { SubnetDocument } from "../schemas/subnet.ts";

export function subnetView(state: State, subnet: Subnet): SubnetDocument {
  const { id, name, prefix, ipv6Prefix, wan, dns, revision } = subnet;
  const parsed = parseIpv4Prefix(prefix);
  const leaves = wan === null ? preferredWan(state) : canonicalWan(state, wan);
  return {
    id,
    name,
    prefix: parsed === null ? prefix : prefixText(parsed),
    gateway: withoutLength(prefix),
    ipv6Prefix,
    wan,
    externalAddress: leaves === null ? null : externalAddress(state, leaves),
    dns,
    zone: zoneOfSubnet(subnet, state.settings),
    zoneIsDefault: subnet.zone === null,
    devices: [...tableRows(state.devices)].filter((device) => device.subnet === id).length,
    managedBy: subnet.managedBy ?? null,
    revision,
  };
}

/** In the order they were added. */
export function subnetsView(state: State): SubnetDocument[] {
  const subnets = Object.values(state.subnets).sort((a, b) => a.createdSeq - b.createdSeq);
  return subnets.map((subnet) => subnetView(state, subnet));
}
