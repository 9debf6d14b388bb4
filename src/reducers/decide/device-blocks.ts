import { event, type PortreeveEvent } from "../../events/index.ts";
import { addressesOfDevice } from "../dns-view.ts";
import { type Device, internalKey, type State, type Subnet } from "../state.ts";

type IsMeant = (key: string) => boolean;

/** What a device may not ask for, it may not at another address either. */
export function blocksMoved(
  state: State,
  device: Device,
  address: string,
  isMeant: IsMeant = () => true,
): PortreeveEvent[] {
  return follow(state, addressesOfDevice(state, device), addressesOfDevice(state, { ...device, address }), isMeant);
}

/** Nor at another IPv6 address, as their subnet gets another prefix. */
export function blocksReaddressed(
  state: State,
  devices: readonly Device[],
  subnet: Subnet,
  isMeant: IsMeant = () => true,
): PortreeveEvent[] {
  const after = { ...state, subnets: { ...state.subnets, [subnet.id]: subnet } };
  // All of them have one, or none has.
  const ipv6In = (places: State): string[] => devices.flatMap((device) => addressesOfDevice(places, device).slice(1));
  return follow(state, ipv6In(state), ipv6In(after), isMeant);
}

/** `to`: what becomes of each of `from`. */
function follow({ blocks }: State, from: readonly string[], to: readonly string[], isMeant: IsMeant): PortreeveEvent[] {
  return Object.entries(blocks).flatMap(([key, { device, protocol, internalPort }]) => {
    const address = to[from.indexOf(device)];
    if (address === undefined || address === device || !isMeant(key)) return [];
    const isThere = blocks[internalKey(address, protocol, internalPort)] !== undefined;
    const lifted = event("block.lifted", { device, protocol, internalPort });
    return isThere ? [lifted] : [event("block.set", { device: address, protocol, internalPort }), lifted];
  });
}
