import { event, type PortreeveEvent } from "../../events/index.ts";
import { mappingsOf } from "../device-mappings.ts";
import { addressesOfDevice } from "../dns-view.ts";
import { inTheWay } from "../sharing.ts";
import { wanOf } from "../device-wan.ts";
import { type Device, isPinhole, type Mapping, type State, type Subnet } from "../state.ts";
import type { CommandEnvelope, Refusal } from "./command.ts";
import { removedNames, withdrawAllowedNames } from "./device-names.ts";
import { Draft } from "./draft.ts";
import { releaseForOthers } from "./in-their-place.ts";

/** Ends what the device itself asked for; an operator's claims stay. */
export function releaseOwn(state: State, device: Device): PortreeveEvent[] {
  return mappingsOf(state, device).flatMap((mapping) =>
    mapping.claims
      .filter((claim) => claim.device !== null)
      .map((claim) => event("lease.released", { mappingId: mapping.id, claimKey: claim.key, reason: "operator" })),
  );
}

/** Ends what is let in to addresses that the devices cease to have, whoever wants it. */
export function closePinholes(state: State, devices: readonly Device[]): PortreeveEvent[] {
  return devices.flatMap((device) => mappingsOf(state, device).filter(isPinhole)).flatMap(endClaims);
}

const endClaims = ({ id, claims }: Mapping): PortreeveEvent[] =>
  claims.map(({ key }) => event("lease.released", { mappingId: id, claimKey: key, reason: "operator" }));

/** Ends every claim on what leads to a device. */
function releaseAll(state: State, device: Device): PortreeveEvent[] {
  return mappingsOf(state, device).flatMap(endClaims);
}

/** A device goes, with all that leads to it and all that was decided about it. */
export function removal(state: State, device: Device, reason: "operator" | "expired" | "subnet"): PortreeveEvent[] {
  const blocks = Object.values(state.blocks)
    .filter((block) => addressesOfDevice(state, device).includes(block.device))
    .map(({ device: address, protocol, internalPort }) =>
      event("block.lifted", { device: address, protocol, internalPort }),
    );
  const gone = event("device.removed", { id: device.id, reason });
  return [
    ...releaseAll(state, device),
    ...releaseForOthers(state, device, null),
    ...removedNames(state, device, "device"),
    ...blocks,
    ...withdrawAllowances(state, device),
    ...withdrawAllowedNames(state, device),
    gone,
  ];
}

/** Ends every yes to a port that it asked for. */
export function withdrawAllowances({ allowances }: State, { id }: Device): PortreeveEvent[] {
  return Object.values(allowances)
    .filter(({ device }) => device === id)
    .map(({ device, protocol, internalPort }) => event("allowance.withdrawn", { device, protocol, internalPort }));
}

/**
 * What leads to devices moves with them to another WAN, with the same ports. `subnet` is what their subnet becomes.
 * Where a port is held there by another that it cannot share it with, nothing moves: the refusal names each of them.
 */
export function rekeyed(
  { state, command }: { readonly state: State; readonly command: CommandEnvelope },
  devices: readonly Device[],
  subnet?: Pick<Subnet, "wan">,
): PortreeveEvent[] | Refusal {
  // What moves finds there what has moved before it: from two WANs they may come to one port.
  const draft = new Draft(command, state);
  const events: PortreeveEvent[] = [];
  const conflicts = new Map<string, Mapping>();
  for (const device of devices) {
    const wan = wanOf(state, device, subnet);
    for (const mapping of mappingsOf(state, device)) {
      if (wan === null || mapping.wan === wan || isPinhole(mapping)) continue;
      const others = inTheWay(draft.state, { ...mapping, wan }, mapping.id);
      for (const other of others) conflicts.set(other.id, other);
      if (others.length > 0) continue;
      const moved = event("mapping.changed", { id: mapping.id, wan });
      draft.log([moved]);
      events.push(moved);
    }
  }
  if (conflicts.size === 0) return events;
  const names = [...conflicts.values()].map(
    ({ protocol, externalPort, internalAddress, id }) => `${protocol} ${externalPort} → ${internalAddress} (${id})`,
  );
  const message = `these ports are taken on the other WAN: ${names.join(", ")}; move or remove them first`;
  return { code: "PORT_TAKEN", message, conflicts: [...conflicts.keys()] };
}
