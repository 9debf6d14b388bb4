import type { Declaration } from "../../events/declaration.ts";
import { tableRows } from "../../lib/table.ts";
import { portName } from "../objects/port.ts";
import { pruneRecords } from "./declared-records.ts";
import { matchPorts, releasePort } from "./declared-ports.ts";
import { mappingsOf } from "../device-mappings.ts";
import { decideDeviceRemove } from "./device.ts";
import type { Draft } from "./draft.ts";
import { decideSubnetRemove, devicesOf } from "./subnet.ts";

/** What bears the name of a declaration and is not in it any more goes, unless somebody else's would go with it. */
export function prune(declaration: Declaration, draft: Draft): void {
  for (const mapping of matchPorts(declaration, draft.state).rest) releasePort(mapping, declaration, draft);
  pruneRecords(declaration, draft);
  pruneDevices(declaration, draft);
  pruneSubnets(declaration, draft);
}

function pruneDevices(declaration: Declaration, draft: Draft): void {
  const kept = new Set(declaration.devices.map(({ name }) => name));
  const gone = [...tableRows(draft.state.devices)]
    .filter(({ managedBy, name }) => managedBy === declaration.name && !kept.has(name))
    .sort((a, b) => a.createdSeq - b.createdSeq);
  for (const device of gone) {
    const where = `device ${device.name}`;
    const others = mappingsOf(draft.state, device).filter(({ claims }) =>
      claims.some((claim) => claim.device === null && claim.managedBy !== declaration.name),
    );
    if (others.length === 0) {
      draft.do(where, (envelope, state) =>
        decideDeviceRemove({ ...envelope, type: "device.remove", id: device.id }, state),
      );
      continue;
    }
    const names = others.map(portName).join(", ");
    const message = `it would go, and with it what leads to it and was not declared: ${names}; remove that first`;
    draft.refuse(where, { code: "CONFLICT", message, conflicts: others.map(({ id }) => id) });
  }
}

function pruneSubnets(declaration: Declaration, draft: Draft): void {
  const kept = new Set(declaration.subnets.map(({ name }) => name.toLowerCase()));
  for (const subnet of Object.values(draft.state.subnets)) {
    if (subnet.managedBy !== declaration.name || kept.has(subnet.name.toLowerCase())) continue;
    const where = `subnet ${subnet.name}`;
    const there = devicesOf(draft.state, subnet.id).map(({ name }) => name);
    if (there.length === 0) {
      draft.do(where, (envelope, state) =>
        decideSubnetRemove({ ...envelope, type: "subnet.remove", id: subnet.id }, state),
      );
      continue;
    }
    const message = `it would go, and with it ${there.join(", ")}; remove them first, or keep it in the declaration`;
    draft.refuse(where, { code: "CONFLICT", message });
  }
}
