import { remoteHostOf, upnpClaim } from "../../events/claim-key.ts";
import type { Transport } from "../../events/fields.ts";
import { event, type PortreeveEvent } from "../../events/index.ts";
import type { Claim } from "../../events/mapping.ts";
import { serverNameOf } from "../../lib/server-name.ts";
import { mappingNamed } from "../port-index.ts";
import { servedInterface, siteOf } from "../served.ts";
import type { Mapping, State } from "../state.ts";
import { heldBy } from "../usage.ts";
import { wanFor } from "../device-wan.ts";
import { registered } from "./admission.ts";
import type { CommandEnvelope, Decision, Refusal } from "./command.ts";
import { accept, refuse } from "./refusal.ts";

/** DeletePortMapping of one entry (WANIPConnection:2 §2.5.18). */
export interface UpnpUnmap {
  readonly type: "upnpUnmap";
  readonly interface: string;
  readonly device: string;
  /** Null: there are clients that name none; both then. */
  readonly protocol: Transport | null;
  readonly externalPort: number;
  readonly remoteHost: string | null;
  /** One TLS name of the port (X_START9_DeleteHostnameMapping); absent: the whole port. */
  readonly name?: string;
  /** Of a name: where it has to lead to. Absent: anywhere. */
  readonly internalPort?: number;
}

/** DeletePortMappingRange (WANIPConnection:2 §2.5.19): what of it is the device's own. */
export interface UpnpUnmapRange {
  readonly type: "upnpUnmapRange";
  readonly interface: string;
  readonly device: string;
  readonly protocol: Transport;
  readonly firstPort: number;
  readonly lastPort: number;
}

export function decideUpnpUnmap(command: CommandEnvelope & UpnpUnmap, state: State): Decision {
  const { protocol, externalPort, remoteHost } = command;
  const name = command.name === undefined ? null : serverNameOf(command.name);
  if (command.name !== undefined && (name === null || remoteHost !== null || protocol === "udp")) {
    return refuse("HOSTNAME_UNSUPPORTED", `${command.name} can't be led to anybody by its TLS name, so that it is not`);
  }
  const asked = upnpClaim(remoteHost);
  const released = ownMappings(state, command, name)
    .filter((mapping) => mapping.externalPort === externalPort && (protocol ?? mapping.protocol) === mapping.protocol)
    .filter((mapping) => leadsTo(mapping, command.internalPort))
    .flatMap((mapping) => releases(mapping, ({ key }) => key === asked));
  if (released.length > 0) return accept(released, { kind: "done" });
  return { ok: false, refusal: notThere(command, state) };
}

export function decideUpnpUnmapRange(command: CommandEnvelope & UpnpUnmapRange, state: State): Decision {
  const { protocol, firstPort, lastPort } = command;
  const range = `${firstPort}-${lastPort}/${protocol}`;
  if (firstPort > lastPort) return refuse("INVALID_REQUEST", `${range} ends before it begins`);
  const released = ownMappings(state, command)
    .filter((mapping) => mapping.protocol === protocol)
    .filter(({ externalPort }) => externalPort >= firstPort && externalPort <= lastPort)
    .flatMap((mapping) => releases(mapping, (claim) => remoteHostOf(claim) !== null));
  if (released.length > 0) return accept(released, { kind: "done" });
  return refuse("NOT_FOUND", `${command.device} has nothing in ${range} that it asked for by UPnP`);
}

/** Of whole ports, or of one name. */
function ownMappings(
  state: State,
  { interface: iface, device }: UpnpUnmap | UpnpUnmapRange,
  named: string | null = null,
): Mapping[] {
  const all = heldBy(state, siteOf(state, iface), device);
  return all.filter((mapping) => mapping.name === named && mapping.internalAddress === device);
}

const leadsTo = (mapping: Mapping, internalPort = mapping.internalPort): boolean =>
  mapping.internalPort === internalPort;

const releases = ({ id, claims }: Mapping, isMeant: (claim: Claim) => boolean): PortreeveEvent[] =>
  claims.filter(isMeant).map(({ key }) => event("lease.released", { mappingId: id, claimKey: key, reason: "client" }));

/** Why there is nothing to delete: no such entry, or it is none of this device's, or not of UPnP's making. */
function notThere(command: UpnpUnmap, state: State): Refusal {
  const { device, externalPort, protocol, remoteHost } = command;
  const served = servedInterface(state, command.interface);
  const wan = served === undefined ? null : wanFor(state, registered(state, served, device));
  const protocols = protocol === null ? (["tcp", "udp"] as const) : [protocol];
  const name = command.name === undefined ? null : serverNameOf(command.name);
  const at = (each: Transport) => mappingNamed(state, { wan: wan ?? "", protocol: each, name }, externalPort);
  const there = wan === null ? [] : protocols.flatMap((each) => at(each) ?? []);
  // Entries of others are shown with an empty remote host.
  const meant = there.find(
    (each) =>
      leadsTo(each, command.internalPort) && remoteHost === null && each.claims.some(({ source }) => source !== "upnp"),
  );
  const foreign = there.find(({ internalAddress }) => internalAddress !== device);
  if (foreign !== undefined) {
    return { code: "NOT_AUTHORIZED", message: `port ${externalPort} is another device's (${foreign.id})` };
  }
  if (meant !== undefined) {
    const sources = [...new Set(meant.claims.map(({ source }) => source))].join(", ");
    const message = `port ${externalPort} was not asked for by UPnP but by ${sources} (${meant.id}), and ends that way`;
    return { code: "NOT_AUTHORIZED", message };
  }
  return { code: "NOT_FOUND", message: `${device} has no UPnP entry for external port ${externalPort}` };
}
