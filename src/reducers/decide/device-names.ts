import { tableGet } from "../../lib/table.ts";
import type { DeviceAdded } from "../../events/device.ts";
import { event, type PortreeveEvent } from "../../events/index.ts";
import { isWithin } from "../../lib/domain-name.ts";
import { namesOfDevice } from "../dns-record.ts";
import { ownName, viewOf, zoneViews } from "../dns-view.ts";
import type { Device, State } from "../state.ts";
import type { Refusal } from "./command.ts";
import { hidesStrangers, outOfReach, outOfScope } from "./dns-scope.ts";

/** All that a device published ends. */
export function removedNames(state: State, device: Device, reason: "device" | "right"): PortreeveEvent[] {
  return namesOfDevice(state, device.id).flatMap(({ records }) =>
    records.map(({ id }) => event("record.removed", { id, reason })),
  );
}

/** What it published and may not any more, as `device` is now, ends; and what it would not be let have below `answer`, a yes that is no more. */
export function withdrawnNames(state: State, device: Device, answer?: string): PortreeveEvent[] {
  const view = viewOf(state, device);
  const isOver = (name: string): boolean => {
    if (view === undefined) return true;
    const why = answer !== undefined && isWithin(name, answer) ? outOfReach : outOfScope;
    return why(state, device, view, name) !== null;
  };
  return namesOfDevice(state, device.id)
    .filter(({ name }) => isOver(name))
    .flatMap(({ records }) => records.map(({ id }) => event("record.removed", { id, reason: "right" })));
}

/** Ends every yes to a name that it asked for. */
export function withdrawAllowedNames({ allowedNames }: State, { id }: Device): PortreeveEvent[] {
  return Object.values(allowedNames)
    .filter(({ device }) => device === id)
    .map(({ device, name }) => event("name.withdrawn", { device, name }));
}

/** Why a device cannot have its name, or the zones that are to be its own; null: it can. */
export function badNames(state: State, device: Device | DeviceAdded): Refusal | null {
  const own = ownName(state, device);
  const holder = own === null ? undefined : tableGet(state.names, own);
  if (own !== null && holder?.device != null && holder.device !== device.id) {
    const other = tableGet(state.devices, holder.device)?.name ?? holder.device;
    return { code: "CONFLICT", message: `${other} has published ${own}, which would be its name; choose another` };
  }
  for (const zone of device.zones) {
    const bad = badZone(state, device, zone);
    if (bad !== null) return { code: "CONFLICT", message: `${zone} can't be delegated to ${device.name}: ${bad}` };
  }
  return null;
}

function badZone(state: State, { id }: Pick<Device, "id">, zone: string): string | null {
  if (!zone.includes(".")) return "it is no zone but a name of one label";
  if (hidesStrangers(state, zone)) return "others register names below it, which would not be found any more";
  const delegate = tableGet(state.delegations, zone);
  if (delegate !== undefined && delegate !== id) return "another device has it";
  if (delegate === undefined && zoneViews(state, zone) !== undefined) return "it is a zone of the gateway";
  const wanted = state.settings.dns.protectedNames.find((name) => isWithin(zone, name) || isWithin(name, zone));
  return wanted === undefined ? null : `${wanted} is protected by the configuration`;
}
