import { tableChanges, tableGet, tableRows } from "../../lib/table.ts";
import { deviceAt } from "../device.ts";
import { addressesOfDevice } from "../dns-view.ts";
import { servedInterface } from "../served.ts";
import type { Device, State } from "../state.ts";
import { wanFor } from "../device-wan.ts";
import { externalAddress } from "../external-address.ts";

/** What the clients of port control on a served interface are told is their external address, and how they are reached. */
export const clientAddresses = {
  /** Null while the WAN has none. */
  ofWan: externalAddress,

  /** A registered device's is its own WAN's; null for `client`: everybody else's. */
  ofClient: (state: State, served: string, client: string | null): string | null =>
    told(state, clientDevice(state, served, client)),

  /** The interface by which a client reaches the internet; null while there is none. */
  wanOf: (state: State, served: string, client: string): string | null =>
    interfaceOf(state, wanFor(state, clientDevice(state, served, client))),

  asksForOthers: (state: State, served: string, client: string): boolean =>
    (clientDevice(state, served, client)?.mapsFor ?? []).length > 0,

  /** False: nothing is multicast there, and each client is told alone. */
  hearsMulticast: (state: State, served: string): boolean => servedInterface(state, served)?.tunnel !== true,

  /** Registered devices that what is multicast does not reach, or tells another address than their own. */
  toldAlone(state: State, served: string): string[] {
    const tunnel = servedInterface(state, served)?.tunnel === true;
    const everybody = told(state, undefined);
    return [...tableRows(state.devices)]
      .filter(
        (device) =>
          device.interface === (tunnel ? null : served) &&
          device.ports !== "off" &&
          (tunnel || told(state, device) !== everybody),
      )
      .flatMap((device) => addressesOfDevice(state, device));
  },

  /** Registered devices that are told another address than before, by the interface they are on; null: our subnets. */
  moved(before: State, after: State): Pick<Device, "interface" | "address">[] {
    const all = before.topologyRevision !== after.topologyRevision || before.subnets !== after.subnets;
    const devices = all
      ? [...tableRows(after.devices)]
      : tableChanges(before.devices, after.devices).flatMap(({ after: device }) => device ?? []);
    return devices.filter((device) => {
      const old = tableGet(before.devices, device.id);
      return old !== undefined && told(before, old) !== told(after, device);
    });
  },
};

function clientDevice(state: State, served: string, client: string | null): Device | undefined {
  const tunnel = servedInterface(state, served)?.tunnel === true;
  return client === null ? undefined : deviceAt(state, tunnel ? null : served, client);
}

/** A WAN may be one address of an interface. */
function interfaceOf(state: State, wan: string | null): string | null {
  const { interfaces } = state.settings.wan;
  const has = (name: string): boolean =>
    state.interfaces[name]?.addresses.some((cidr) => cidr.startsWith(`${wan}/`)) === true;
  return interfaces.find((name) => name === wan || has(name)) ?? null;
}

function told(state: State, device: Device | undefined): string | null {
  const wan = wanFor(state, device);
  return wan === null ? null : externalAddress(state, wan);
}
