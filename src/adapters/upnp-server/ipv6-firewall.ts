import type { ErrorCode } from "../../lib/errors.ts";
import { canonicalIpv6 } from "../../lib/ipv6.ts";
import type { Arguments } from "../../protocols/upnp/arguments.ts";
import type { UpnpErrorNumber } from "../../protocols/upnp/error.ts";
import type { Refusal } from "../../reducers/decide/command.ts";
import { type Actions, refuse, submit } from "./action.ts";
import type { Caller, Gateway } from "./exchange.ts";
import { upnpErrorOf } from "./refusal-errors.ts";

/** WANIPv6FirewallControl:1 §2.2.5: seconds. */
const LEASE_MAX = 86_400;
/** §2.2.4: any protocol. */
const ANY_PROTOCOL = 65_535;
const TRANSPORTS: ReadonlyMap<number, "tcp" | "udp"> = new Map([
  [6, "tcp"],
  [17, "udp"],
]);

/**
 * WANIPv6FirewallControl:1 §2.5. A control point asks over IPv4 for an IPv6 address: it is let have a pinhole only where
 * both are known to be of one host. It sees and changes what is its own.
 */
export const ipv6FirewallActions: Actions = {
  GetFirewallStatus: (gateway, caller) => {
    const { enabled, pinholes } = firewallOf(gateway, caller);
    return [
      ["FirewallEnabled", enabled ? 1 : 0],
      ["InboundPinholeAllowed", pinholes ? 1 : 0],
    ];
  },
  GetOutboundPinholeTimeout: async (gateway, _caller, args) => {
    const seconds = await gateway.readFlowTimeout(flowOf(args).transport);
    return seconds === null ? refuse(501, "the kernel does not say") : [["OutboundPinholeTimeout", seconds]];
  },
  AddPinhole: async (gateway, caller, args) => {
    const { device, protocol, internalPort, remoteHost, remotePort } = flowOf(args);
    const lifetime = leaseOf(args.ui4("LeaseTime"));
    if (!firewallOf(gateway, caller).pinholes) return refuse(703, "this host's network has no IPv6 that we know of");
    const host = await gateway.ipv4Of(caller.interface, device);
    const asked = { device, host, protocol, internalPort, remoteHost, remotePort, lifetime };
    const ids = { interface: caller.interface, caller: caller.device };
    const answer = await submit(gateway, caller, { type: "upnpPinhole", ...ids, ...asked }, errorOf);
    const key = answer.kind === "mapped" ? answer.claimKey : null;
    if (key === null) throw new Error("a pinhole was answered without its claim");
    return [["UniqueID", Number(key.slice(key.lastIndexOf(":") + 1))]];
  },
  UpdatePinhole: async (gateway, caller, args) => {
    const lifetime = leaseOf(args.ui4("NewLeaseTime"));
    const host = await gateway.ipv4Of(caller.interface, pinholeAddress(gateway, caller, args));
    await submit(gateway, caller, { type: "upnpPinholeUpdate", ...named(caller, args), host, lifetime }, errorOf);
    return [];
  },
  DeletePinhole: async (gateway, caller, args) => {
    await submit(gateway, caller, { type: "upnpPinholeDelete", ...named(caller, args) }, errorOf);
    return [];
  },
  // Required by §2.5, while CheckPinholeWorking, which is optional, is left out (docs/decisions/0013).
  GetPinholePackets: (gateway, caller, args) => {
    pinholeAddress(gateway, caller, args);
    return refuse(501, "packets that a pinhole lets in are not counted");
  },
};

export const firewallOf = ({ controller, core }: Gateway, caller: Caller): { enabled: boolean; pinholes: boolean } =>
  core.firewall.statusOf(controller.state, caller);

const named = (caller: Caller, args: Arguments) => ({
  interface: caller.interface,
  caller: caller.device,
  uniqueId: args.ui2("UniqueID"),
});

const pinholeAddress = ({ controller, core }: Gateway, caller: Caller, args: Arguments): string =>
  core.firewall.pinholeAddress(controller.state, caller, args.ui2("UniqueID")) ??
  refuse(704, "this host has no such pinhole");

/** Never without end (PINH-02). */
const leaseOf = (seconds: number): number =>
  seconds >= 1 && seconds <= LEASE_MAX ? seconds : refuse(601, `a lease is 1 to ${LEASE_MAX} seconds`);

interface Flow {
  readonly device: string;
  readonly protocol: number;
  readonly transport: "tcp" | "udp";
  readonly internalPort: number;
  readonly remoteHost: string | null;
  readonly remotePort: number | null;
}

function flowOf(args: Arguments): Flow {
  const [protocol, internalPort, remotePort] = [args.ui2("Protocol"), args.ui2("InternalPort"), args.ui2("RemotePort")];
  const [client, remote] = [args.text("InternalClient").trim(), args.text("RemoteHost").trim()];
  if (protocol === ANY_PROTOCOL) return refuse(707);
  const transport = TRANSPORTS.get(protocol);
  if (transport === undefined) return refuse(705);
  if (internalPort === 0) return refuse(706);
  const device = canonicalIpv6(client) ?? refuse(601, "InternalClient is no IPv6 address");
  const remoteHost = remote === "" ? null : (canonicalIpv6(remote) ?? refuse(601, "RemoteHost is no IPv6 address"));
  return { device, protocol, transport, internalPort, remoteHost, remotePort: remotePort === 0 ? null : remotePort };
}

/** What some of our codes are here; the others are as everywhere. */
const ERRORS: { readonly [Code in ErrorCode]?: UpnpErrorNumber } = {
  NOT_FOUND: 704,
  QUOTA_EXCEEDED: 701,
  EVENT_QUOTA_EXCEEDED: 701,
  TOO_MANY_FILTERS: 701,
  UNSUPPORTED_PROTOCOL: 705,
};

const errorOf = ({ code }: Refusal): UpnpErrorNumber =>
  ERRORS[code] ?? upnpErrorOf(code, { range: false, operators: false });
