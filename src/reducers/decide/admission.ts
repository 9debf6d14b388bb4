import type { Transport } from "../../events/fields.ts";
import { isIpv6 } from "../../lib/ipv6.ts";
import { deviceAt } from "../device.ts";
import { wanFor } from "../device-wan.ts";
import { externalAddress } from "../external-address.ts";
import { type Served, servedInterface } from "../served.ts";
import { allowanceKey, type Device, internalKey, type State } from "../state.ts";
import type { Refusal } from "./command.ts";
import { closedToPinholes, hostBehind } from "./pinhole.ts";

/** Who asks for a port, and for which of its own. */
export interface Requester {
  /** Served interface that the request came in on. */
  readonly interface: string;
  /** Its source address: a device maps only to itself. */
  readonly device: string;
  readonly internalPort: number;
  /** Of an IPv6 address on a LAN: the IPv4 address that the same station has there, as far as it is known. */
  readonly host?: string | null;
}

export interface Admitted {
  readonly served: Served;
  /** Of a pinhole the requester's own address. */
  readonly wan: string;
  /** What clients are told. */
  readonly address: string;
  /** Of a pinhole: what its host is counted by. */
  readonly host: string | null;
}

/** By which WAN a device may open a port, or why it may not, whatever the external port. */
export function admit(state: State, requester: Requester, protocol: Transport): Admitted | Refusal {
  const served = servedInterface(state, requester.interface);
  if (served === undefined) {
    return { code: "NOT_AUTHORIZED", message: `${requester.interface} is not a served interface` };
  }
  const { device: host, internalPort } = requester;
  if (isIpv6(host)) return admitPinhole(state, requester, served, protocol);
  const device = registered(state, served, host);
  const unfit = withoutRight(requester, state, { served, device, protocol });
  if (unfit !== null) return unfit;
  const wan = wanFor(state, device);
  const address = wan === null ? null : externalAddress(state, wan);
  if (wan === null || address === null) {
    const message = "the WAN has no public address yet; ask again when it has";
    return { code: "NO_EXTERNAL_ADDRESS", message, retryAfter: 30 };
  }
  return blocked(state, protocol, host, internalPort) ?? { served, wan, address, host: null };
}

function blocked(state: State, protocol: Transport, host: string, port: number): Refusal | null {
  if (state.blocks[internalKey(host, protocol, port)] === undefined) return null;
  return { code: "BLOCKED", message: `an operator blocked ${protocol} ${port} of ${host}` };
}

/** What is let in is not translated, so that nothing of a WAN has to be known. */
function admitPinhole(state: State, requester: Requester, served: Served, protocol: Transport): Admitted | Refusal {
  const { device: address, internalPort } = requester;
  const known = hostBehind(state, served, address, requester.host ?? null);
  if ("code" in known) return known;
  const refusal =
    withoutRight(requester, state, { served, device: known.device, protocol }) ??
    blocked(state, protocol, address, internalPort) ??
    closedToPinholes(state, protocol, internalPort);
  return refusal ?? { served, wan: address, address, host: known.host };
}

export const registered = (state: State, served: Served, address: string): Device | undefined =>
  deviceAt(state, served.tunnel ? null : served.interface, address);

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
