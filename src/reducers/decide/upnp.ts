import { upnpClaim } from "../../events/claim-key.ts";
import type { Transport } from "../../events/fields.ts";
import { event, type PortreeveEvent } from "../../events/index.ts";
import type { Claim } from "../../events/mapping.ts";
import { heldByOperatorAlone } from "../operator-holds.ts";
import { mappingAt, mappingsTo } from "../port-index.ts";
import type { Mapping, State } from "../state.ts";
import { type Admitted, admit } from "./admission.ts";
import type { CommandEnvelope, Decision } from "./command.ts";
import type { Deadlines } from "../deadlines.ts";
import { overQuota, tooOften } from "./device-limits.ts";
import { choosePort, type Hindrance, hindrance, hindranceText, protection } from "./external-port.ts";
import { type ClaimChanges, renewed, untilItEnds } from "./lease-terms.ts";
import { decideNames } from "./map-names.ts";
import { deviceGrant } from "./device-grant.ts";
import { accept, refuse } from "./refusal.ts";
import { nameBeside } from "../sharing.ts";
import { shownText } from "./shown-text.ts";
import { CLAIMS_MAX, PORT_FIRST } from "./upnp-limits.ts";
import type { UpnpUnmap, UpnpUnmapRange } from "./upnp-unmap.ts";

/** A control point asks for a port: AddPortMapping, or with `any` AddAnyPortMapping (WANIPConnection:2 §2.5.16, §2.5.17). */
export interface UpnpMap {
  readonly type: "upnpMap";
  readonly interface: string;
  /** Source address of the request, which NewInternalClient has to be. */
  readonly device: string;
  readonly protocol: Transport;
  /** 0 with `any`: no preference. */
  readonly externalPort: number;
  /** Rather another external port than none. */
  readonly any: boolean;
  readonly internalPort: number;
  /** The one peer that is let in; null: everyone. */
  readonly remoteHost: string | null;
  readonly enabled: boolean;
  readonly description: string;
  /** Seconds; 0: as long as we grant. */
  readonly lifetime: number;
  /** One TLS name of the port (X_START9_AddHostnameMapping); absent: the whole port. */
  readonly name?: string;
}

export type UpnpCommand = UpnpMap | UpnpUnmap | UpnpUnmapRange;

/** WANIPConnection:2 §2.3.13: PortMappingLeaseDuration. */
const LEASE_MAX = 604_800;
/** As the one server there is of it has it: clients ask anew every few minutes. */
const NAME_LEASE_MAX = 3600;
/** External ports on one internal port: there are clients that ask for a new one each time and give none back. */
const EXTERNAL_PORTS_MAX = 8;

interface Asking extends Admitted {
  readonly command: CommandEnvelope & UpnpMap;
  readonly state: State;
  readonly deadlines: Deadlines;
}

export function decideUpnpMap(command: CommandEnvelope & UpnpMap, state: State, deadlines: Deadlines): Decision {
  if (command.name !== undefined) return decideUpnpName(command, command.name, state, deadlines);
  const { internalPort, externalPort, any } = command;
  if (internalPort === 0 || (externalPort === 0 && !any)) {
    return refuse("INVALID_REQUEST", "UPnP maps single ports: neither the internal nor the external one can be 0");
  }
  if (internalPort < PORT_FIRST || (externalPort < PORT_FIRST && !any)) {
    const port = internalPort < PORT_FIRST ? `internal port ${internalPort}` : `external port ${externalPort}`;
    const message = `${port} is below ${PORT_FIRST}: anybody on the network can ask by UPnP; an operator can open it`;
    return refuse("NOT_AUTHORIZED", message);
  }
  const admitted = admit(state, command, command.protocol);
  if ("code" in admitted) return { ok: false, refusal: admitted };
  const asking: Asking = { command, state, deadlines, ...admitted };
  return exactly(asking) ?? anyPort(asking);
}

/** Other than a whole port, a name may be below 1024: it takes nothing from whoever has another. */
function decideUpnpName(
  command: CommandEnvelope & UpnpMap,
  name: string,
  state: State,
  deadlines: Deadlines,
): Decision {
  const { protocol, remoteHost, externalPort, internalPort } = command;
  if (protocol !== "tcp" || remoteHost !== null || externalPort === 0 || internalPort === 0) {
    return refuse("HOSTNAME_UNSUPPORTED", "a TLS name is led on by a single TCP port, and reached by everyone");
  }
  const longest = Math.min(NAME_LEASE_MAX, state.settings.portControl.lifetime.max);
  const lifetime = command.lifetime === 0 ? longest : Math.min(command.lifetime, longest);
  const claim = { ...claimOf({ command, state }), lifetime, expiresAt: command.now + lifetime * 1000 };
  return decideNames({ ...command, suggestedAddress: null, names: [name], claim }, state, deadlines);
}

/** What becomes of the external port that was named; null where another one is to be found. */
function exactly(asking: Asking): Decision | null {
  const { command, state, wan } = asking;
  const { any, protocol, externalPort: port, internalPort, device, now } = command;
  if (any && port < PORT_FIRST) return null;
  const there = mappingAt(state, wan, protocol, port);
  if (there?.internalAddress === device) {
    const named = command.remoteHost === null ? undefined : nameBeside(state, there);
    if (named !== undefined) return any ? null : inTheWay(asking, { kind: "taken", mapping: named });
    if (there.internalPort + (port - there.externalPort) === internalPort) return have(asking, there);
    const key = upnpClaim(command.remoteHost);
    if (there.claims.every((claim) => claim.key === key)) return overwrite(asking, there);
  }
  const alone = command.remoteHost !== null;
  const hindered = hindrance(state, { wan, protocol, port, alone }, device, now);
  if (hindered === null) return grant(asking, port);
  return any ? null : inTheWay(asking, hindered);
}

/** AddAnyPortMapping: the port that the device has for it already, or a free one. */
function anyPort(asking: Asking): Decision {
  const { command, wan, state } = asking;
  const { protocol, internalPort, externalPort, device } = command;
  const alone = command.remoteHost !== null;
  const usable = (mapping: Mapping): boolean => mapping.enabled && !(alone && nameBeside(state, mapping));
  const open = whole(asking).filter(usable);
  const key = upnpClaim(command.remoteHost);
  const has = open.find(({ claims }) => claims.some((claim) => claim.key === key)) ?? open[0];
  if (has !== undefined) return have(asking, has);
  const preferred = [externalPort, internalPort].filter((port) => port >= PORT_FIRST);
  const port = choosePort(state, { wan, protocol, preferred, alone }, device, command);
  return port === null
    ? refuse("NO_FREE_PORT", `no external ${protocol} port is free`, { retryAfter: 30 })
    : grant(asking, port);
}

/** Its mappings of whole ports to that internal one, oldest first. */
function whole({ command, state, wan }: Asking): Mapping[] {
  const leading = mappingsTo(state, command.device, command.protocol, command.internalPort);
  return leading.filter((mapping) => mapping.wan === wan && mapping.name === null);
}

function inTheWay({ command }: Asking, hindered: Hindrance): Decision {
  const { message, conflicts } = hindranceText({ protocol: command.protocol, port: command.externalPort }, hindered);
  if (hindered.kind === "protected") return refuse("PORT_PROTECTED", message);
  if (hindered.kind !== "quarantined") return refuse("PORT_TAKEN", message, { conflicts });
  return refuse("PORT_TAKEN", message, { retryAfter: Math.ceil((hindered.until - command.now) / 1000) });
}

/** The mapping is there, whoever of the device asked for it: the entry joins it, or is asked for anew. */
function have(asking: Asking, mapping: Mapping): Decision {
  const { command, state, address } = asking;
  if (!mapping.enabled) return refuse("NOT_AUTHORIZED", `an operator disabled this mapping (${mapping.id})`);
  const externalPort = mapping.externalPort + (command.internalPort - mapping.internalPort);
  const answer = { kind: "mapped", mappingId: mapping.id, externalAddress: address, externalPort } as const;
  const mine = mapping.claims.find(({ key }) => key === upnpClaim(command.remoteHost));
  if (mine !== undefined) {
    const lease = renewed(asking, { mappingId: mapping.id, claim: mine }, lifetimeOf(asking), changesOf(mine, command));
    if ("code" in lease) return { ok: false, refusal: lease };
    return accept(lease.events, { ...answer, claimKey: mine.key, lifetime: lease.lifetime }, lease.renewals);
  }
  // What an operator made is confirmed, and so is a set of ports, which is claimed as a whole: nothing is stored.
  if (mapping.count > 1 || heldByOperatorAlone(mapping)) {
    if (command.remoteHost !== null) {
      const message = `${mapping.id} is not this client's alone, and lets in more than ${command.remoteHost}`;
      return refuse("PORT_TAKEN", message, { conflicts: [mapping.id] });
    }
    return accept([], { ...answer, claimKey: null, lifetime: untilItEnds(asking, mapping, lifetimeOf(asking)) });
  }
  if (mapping.claims.length >= CLAIMS_MAX) {
    const message = `${mapping.id} has ${CLAIMS_MAX} claims, as many as it may; release one first`;
    return refuse("QUOTA_EXCEEDED", message);
  }
  const refusal = tooOften(state, command);
  if (refusal !== null) return { ok: false, refusal };
  const claim = claimOf(asking);
  const lifetime = lifetimeOf(asking);
  const granted = event("lease.granted", { mappingId: mapping.id, claim });
  return accept([granted], { ...answer, claimKey: claim.key, lifetime });
}

/** WANIPConnection:2 §2.5.16.2: the same entry again, for another internal port. */
function overwrite(asking: Asking, mapping: Mapping): Decision {
  if (!mapping.enabled) return refuse("NOT_AUTHORIZED", `an operator disabled this mapping (${mapping.id})`);
  const { protocol, externalPort: port } = asking.command;
  const why = protection(asking.state, protocol, port);
  if (why !== null) return inTheWay(asking, { kind: "protected", why });
  const released = mapping.claims.map(({ key }) =>
    event("lease.released", { mappingId: mapping.id, claimKey: key, reason: "client" }),
  );
  return grant(asking, asking.command.externalPort, released);
}

/** `released`: what the same device has there and gives up for it. */
function grant(asking: Asking, externalPort: number, released: readonly PortreeveEvent[] = []): Decision {
  const { command, state, wan, address } = asking;
  const { protocol, internalPort, device } = command;
  const off = whole(asking).find((mapping) => !mapping.enabled);
  if (off !== undefined) return refuse("NOT_AUTHORIZED", `an operator disabled ${off.id}, which leads there`);
  const others = whole(asking).length;
  if (others >= EXTERNAL_PORTS_MAX) {
    const message = `${others} external ports lead to ${protocol} ${internalPort} of ${device} already; release one first`;
    return refuse("QUOTA_EXCEEDED", message);
  }
  const refusal = (released.length === 0 ? overQuota(state, command) : null) ?? tooOften(state, command);
  if (refusal !== null) return { ok: false, refusal };
  const claim = claimOf(asking);
  const granted = deviceGrant(command, state, { wan, protocol, externalPort, count: 1, name: null }, claim);
  const lifetime = lifetimeOf(asking);
  const answer = { kind: "mapped", mappingId: granted.data.id, claimKey: claim.key, externalAddress: address } as const;
  return accept([...released, granted], { ...answer, externalPort, lifetime });
}

function claimOf(asking: Pick<Asking, "command" | "state">): Claim {
  const { device, now, remoteHost, description, enabled } = asking.command;
  const lifetime = lifetimeOf(asking);
  return {
    key: upnpClaim(remoteHost),
    source: "upnp",
    device,
    nonce: null,
    clientPort: null,
    lifetime,
    expiresAt: now + lifetime * 1000,
    filters: remoteHost === null ? [] : [{ prefix: `${remoteHost}/32`, port: null }],
    description: shownText(description),
    enabled,
  };
}

function changesOf(claim: Claim, { description: said, enabled }: UpnpMap): ClaimChanges {
  const description = shownText(said);
  return {
    ...(claim.description !== description && { description }),
    ...(claim.enabled !== enabled && { enabled }),
  };
}

function lifetimeOf({ command, state }: Pick<Asking, "command" | "state">): number {
  const longest = Math.min(state.settings.portControl.lifetime.max, LEASE_MAX);
  return command.lifetime === 0 ? longest : Math.min(command.lifetime, longest);
}
