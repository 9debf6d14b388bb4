import type { Transport } from "../../events/fields.ts";
import { deviceAt } from "../device.ts";
import { wanOf } from "../select/device-wan.ts";
import { externalAddress, preferredWan } from "../select/external-address.ts";
import { type Served, servedInterface } from "../served.ts";
import { allowanceKey, type Device, internalKey, type State } from "../state.ts";
import type { Refusal } from "./command.ts";

/** Who asks for a port, and for which of its own. */
export interface Requester {
  /** Served interface that the request came in on. */
  readonly interface: string;
  /** Its source address: a device maps only to itself. */
  readonly device: string;
  readonly internalPort: number;
}

export interface Admitted {
  readonly served: Served;
  readonly wan: string;
  /** What clients are told. */
  readonly address: string;
}

/** By which WAN a device may open a port, or why it may not, whatever the external port. */
export function admit(state: State, requester: Requester, protocol: Transport): Admitted | Refusal {
  const served = servedInterface(state, requester.interface);
  if (served === undefined) {
    return { code: "NOT_AUTHORIZED", message: `${requester.interface} is not a served interface` };
  }
  const device = registered(state, served, requester.device);
  const unfit = withoutRight(requester, state, { served, device, protocol });
  if (unfit !== null) return unfit;
  const wan = wanFor(state, device);
  const address = wan === null ? null : externalAddress(state, wan);
  if (wan === null || address === null) {
    const message = "the WAN has no public address yet; ask again when it has";
    return { code: "NO_EXTERNAL_ADDRESS", message, retryAfter: 30 };
  }
  const { device: host, internalPort } = requester;
  if (state.blocks[internalKey(host, protocol, internalPort)] !== undefined) {
    return { code: "BLOCKED", message: `an operator blocked ${protocol} ${internalPort} of ${host}` };
  }
  return { served, wan, address };
}

export const registered = (state: State, served: Served, address: string): Device | undefined =>
  deviceAt(state, served.tunnel ? null : served.interface, address);

export const wanFor = (state: State, device: Device | undefined): string | null =>
  device === undefined ? preferredWan(state) : wanOf(state, device);

/** Why a device may not open a port, whatever port it is. */
function withoutRight(
  { device: address, internalPort }: Requester,
  state: State,
  { served, device, protocol }: { served: Served; device: Device | undefined; protocol: Transport },
): Refusal | null {
  if (device === undefined) {
    if (served.devices === "any") return null;
    return {
      code: "NOT_AUTHORIZED",
      message: `${address} is no registered device; \`portreeve device add\` makes it one`,
    };
  }
  if (device.ports === "auto") return null;
  if (device.ports === "off") {
    const message = `${device.name} may not open ports; \`portreeve device allow ${device.name} ports\` lets it`;
    return { code: "NOT_AUTHORIZED", message };
  }
  if (state.allowances[allowanceKey(device.id, protocol, internalPort)] !== undefined) return null;
  const message = `${device.name} asks for ${internalPort}/${protocol} and waits for a yes`;
  return { code: "APPROVAL_PENDING", message, retryAfter: 30 };
}
