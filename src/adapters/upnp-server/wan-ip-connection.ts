import { isHostIpv4 } from "../../lib/ip.ts";
import { tableGet } from "../../lib/table.ts";
import type { Arguments } from "../../protocols/upnp/arguments.ts";
import { encodePortListing, type ListedMapping } from "../../protocols/upnp/port-listing.ts";
import type { CommandOf } from "../../reducers/decide/command.ts";
import { type Actions, refuse, submit } from "./action.ts";
import { Entries } from "./entries.ts";
import type { Caller, Gateway, Values } from "./exchange.ts";
import { upnpErrorOf } from "./refusal-errors.ts";

/** WANIPConnection:2 §2.3.16: the most a lease can be. */
const LEASE_MAX = 604_800;
/** WANIPConnection:2 §2.5; a caller sees and changes what is its own. */
export const wanIpConnectionActions: Actions = {
  SetConnectionType: () => refuse(731, "the connection is routed, and stays so"),
  GetConnectionTypeInfo: () => [
    ["NewConnectionType", "IP_Routed"],
    ["NewPossibleConnectionTypes", "IP_Routed"],
  ],
  RequestConnection: (gateway, caller) =>
    connectionStatus(gateway, caller) === "Connected"
      ? []
      : refuse(704, "the gateway has no address on the internet now"),
  ForceTermination: () => refuse(606, "nobody on the local network may end the gateway's connection"),
  GetStatusInfo: (gateway, caller) => [
    ["NewConnectionStatus", connectionStatus(gateway, caller)],
    ["NewLastConnectionError", "ERROR_NONE"],
    ["NewUptime", Math.max(0, Math.floor((gateway.clock.now() - gateway.startedAt) / 1000))],
  ],
  GetNATRSIPStatus: () => [
    ["NewRSIPAvailable", 0],
    ["NewNATEnabled", 1],
  ],
  GetExternalIPAddress: (gateway, caller) => [["NewExternalIPAddress", externalAddress(gateway, caller)]],
  GetGenericPortMappingEntry: (gateway, caller, args) => {
    const entry = entriesOf(gateway, caller).at(args.ui2("NewPortMappingIndex"));
    if (entry === null) return refuse(713, "there are not as many port mappings of this host");
    return [
      ["NewRemoteHost", entry.remoteHost],
      ["NewExternalPort", entry.externalPort],
      ["NewProtocol", entry.protocol],
      ...targetValues(entry),
    ];
  },
  GetSpecificPortMappingEntry: (gateway, caller, args) => {
    const [remoteHost, port, protocol] = [
      args.text("NewRemoteHost").trim(),
      args.ui2("NewExternalPort"),
      protocolOf(args),
    ];
    const entry = entriesOf(gateway, caller).find(protocol, port, remoteHost);
    return entry === null ? refuse(714, "this host has no such port mapping") : targetValues(entry);
  },
  GetListOfPortMappings: (gateway, caller, args) => {
    const { first, last, protocol } = rangeOf(args);
    const most = args.ui2("NewNumberOfPorts");
    const within = entriesOf(gateway, caller).within(protocol, first, last, most);
    if (within.length === 0) return refuse(730, "this host has no port mapping in that range");
    return [["NewPortListing", { document: encodePortListing(within) }]];
  },
  AddPortMapping: async (gateway, caller, args) => {
    const command = mapCommand(caller, args, false);
    if (command.externalPort === 0) return refuse(716);
    await ask(gateway, caller, command);
    return [];
  },
  AddAnyPortMapping: async (gateway, caller, args) => {
    const answer = await ask(gateway, caller, mapCommand(caller, args, true));
    if (answer.kind !== "mapped") throw new Error(`a port mapping was answered with ${answer.kind}`);
    return [["NewReservedPort", answer.externalPort]];
  },
  DeletePortMapping: async (gateway, caller, args) => {
    const externalPort = args.ui2("NewExternalPort");
    // @achingbrain/nat-port-mapper names no protocol where it deletes, and means both.
    const protocol = args.text("NewProtocol").trim() === "" ? null : transportOf(args);
    await ask(gateway, caller, {
      type: "upnpUnmap",
      ...caller,
      protocol,
      externalPort,
      remoteHost: remoteHostOf(args),
    });
    return [];
  },
  DeletePortMappingRange: async (gateway, caller, args) => {
    const { first, last } = rangeOf(args);
    const command = { type: "upnpUnmapRange", ...caller, protocol: transportOf(args) } as const;
    await ask(gateway, caller, { ...command, firstPort: first, lastPort: last });
    return [];
  },
  X_START9_AddHostnameMapping: async (gateway, caller, args) => {
    const name = hostnameOf(args);
    await ask(gateway, caller, { ...mapCommand(caller, args, false), name });
    return [];
  },
  X_START9_DeleteHostnameMapping: async (gateway, caller, args) => {
    const named = { name: hostnameOf(args), internalPort: args.ui2("NewInternalPort") };
    const place = { protocol: transportOf(args), externalPort: args.ui2("NewExternalPort"), remoteHost: null };
    await ask(gateway, caller, { type: "upnpUnmap", ...caller, ...place, ...named });
    return [];
  },
};

export function externalAddress({ controller, core }: Gateway, caller: Caller): string {
  return (controller.mode === "running" ? core.addressOf(controller.state, caller) : null) ?? "";
}

export const connectionStatus = (gateway: Gateway, caller: Caller): "Connected" | "Disconnected" =>
  externalAddress(gateway, caller) === "" ? "Disconnected" : "Connected";

export const entriesOf = ({ controller, core, clock }: Gateway, caller: Caller): Entries =>
  new Entries(core.entriesOf(controller.state, controller.deadlines, caller, clock.now()));

function targetValues(entry: ListedMapping): Values {
  return [
    ["NewInternalPort", entry.internalPort],
    ["NewInternalClient", entry.internalClient],
    ["NewEnabled", entry.enabled ? 1 : 0],
    ["NewPortMappingDescription", entry.description],
    ["NewLeaseDuration", entry.leaseSeconds],
  ];
}

/** In lower case too (IGD-13). */
function protocolOf(args: Arguments): "TCP" | "UDP" {
  const protocol = args.text("NewProtocol").trim().toUpperCase();
  return protocol === "TCP" || protocol === "UDP" ? protocol : refuse(601, "NewProtocol is neither TCP nor UDP");
}

const transportOf = (args: Arguments): "tcp" | "udp" => (protocolOf(args) === "TCP" ? "tcp" : "udp");

/** An address, or empty for everyone. A name would have to be looked up for whoever asks (IGD-06). */
function remoteHostOf(args: Arguments): string | null {
  const host = args.text("NewRemoteHost").trim();
  if (host === "") return null;
  return isHostIpv4(host) ? host : refuse(601, "NewRemoteHost is neither empty nor an IPv4 address");
}

/** The name that is led on. Whoever asks for it by TLS is let in, so that a remote host has no place beside it. */
function hostnameOf(args: Arguments): string {
  if (args.text("NewRemoteHost").trim() !== "") return refuse(801, "a TLS name is reached by everyone");
  return args.text("NewHostname").trim();
}

/** Both are of the range. NewManage is ignored: nobody is known to be the administrator here (IGD-09). */
function rangeOf(args: Arguments): { first: number; last: number; protocol: "TCP" | "UDP" } {
  const [first, last] = [args.ui2("NewStartPort"), args.ui2("NewEndPort")];
  args.boolean("NewManage");
  if (first > last) return refuse(733, "NewStartPort is beyond NewEndPort");
  return { first, last, protocol: protocolOf(args) };
}

function mapCommand(caller: Caller, args: Arguments, any: boolean): CommandOf<"upnpMap"> {
  const [internalPort, client] = [args.ui2("NewInternalPort"), args.text("NewInternalClient").trim()];
  const externalPort = args.ui2("NewExternalPort");
  const lifetime = Math.min(args.ui4("NewLeaseDuration"), LEASE_MAX);
  const asked = { remoteHost: remoteHostOf(args), protocol: transportOf(args), enabled: args.boolean("NewEnabled") };
  if (internalPort === 0) return refuse(732);
  if (client === "") return refuse(715, "NewInternalClient is empty");
  if (client !== caller.device) return refuse(606, "a host may map ports to itself only");
  const description = args.text("NewPortMappingDescription");
  return { type: "upnpMap", ...caller, ...asked, externalPort, any, internalPort, description, lifetime };
}

type UpnpCommand = CommandOf<"upnpMap"> | CommandOf<"upnpUnmap"> | CommandOf<"upnpUnmapRange">;

/** What an operator's mapping stands in the way of is refused by another number than what other hosts' do. */
function ask(gateway: Gateway, caller: Caller, command: UpnpCommand): ReturnType<typeof submit> {
  const range = command.type === "upnpUnmapRange";
  return submit(gateway, caller, command, ({ code, conflicts = [] }) => {
    const mappings = conflicts.flatMap((id) => tableGet(gateway.controller.state.mappings, id) ?? []);
    const operators = mappings.some(({ claims }) => claims.some(({ source }) => source === "manual"));
    return upnpErrorOf(code, { range, operators });
  });
}
