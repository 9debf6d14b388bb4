import { mapClaim, NATPMP_CLAIM, pcpClaim } from "../../events/claim-key.ts";
import type { Transport } from "../../events/fields.ts";
import { event, type PortreeveEvent } from "../../events/index.ts";
import type { Claim } from "../../events/mapping.ts";
import { isIpv6 } from "../../lib/ipv6.ts";
import { mappingsTo } from "../port-index.ts";
import { heldByOperatorAlone } from "../operator-holds.ts";
import { sameFilters } from "../reach.ts";
import type { Mapping, State } from "../state.ts";
import { admit } from "./admission.ts";
import type { CommandEnvelope, Decision, MapRequest, Refusal } from "./command.ts";
import type { Deadlines } from "../deadlines.ts";
import { overQuota, tooOften } from "./device-limits.ts";
import { deviceGrant } from "./device-grant.ts";
import { choosePort, hindrance, hindranceText } from "./external-port.ts";
import { filtersAfter, unfilterable } from "./filters.ts";
import { remaining, renewed, STATIC_LIFETIME, untilItEnds } from "./lease-terms.ts";
import { type InTheirPlace, inTheirPlace } from "./in-their-place.ts";
import { CLAIMS_PER_MAPPING_MAX, decideNames } from "./map-names.ts";
import { externalRun, internalRun, touchedClaims } from "./port-set.ts";
import { accept, refuse } from "./refusal.ts";

interface Asking {
  readonly command: CommandEnvelope & InTheirPlace<MapRequest>;
  readonly state: State;
  readonly deadlines: Deadlines;
  readonly wan: string;
  readonly address: string;
  readonly protocol: Transport;
  readonly nonceRule: "strict" | "same-host";
}

/** A device's claim always has an end. */
type Granted = Claim & { readonly lifetime: number };

export const transportOf = (protocol: number): Transport | null =>
  protocol === 6 ? "tcp" : protocol === 17 ? "udp" : null;

/** A device asks for a port: RFC 6887 §11.3 in its order, RFC 6886 §3.3. */
export function decideMap(asked: CommandEnvelope & MapRequest, state: State, deadlines: Deadlines): Decision {
  const command = inTheirPlace(asked, state);
  if ("code" in command) return { ok: false, refusal: command };
  if (command.names !== undefined) return decideMapNames(command, command.names, state, deadlines);
  const protocol = transportOf(command.protocol);
  if (protocol === null || command.internalPort === 0) {
    return refuse("UNSUPPORTED_PROTOCOL", "only single TCP and UDP ports can be mapped, not whole protocols or hosts");
  }
  const admitted = admit(state, command, protocol);
  if ("code" in admitted) return { ok: false, refusal: admitted };
  const { wan, address, served, host } = admitted;
  // A set of ports spares external ones, and a pinhole takes none from anybody.
  const meant = host === null ? command : { ...command, host, portSet: null };
  const asking: Asking = { command: meant, state, deadlines, wan, address, protocol, nonceRule: served.nonce };
  const existing = ownMappings(asking);
  if (command.by === "natpmp") return existing.length === 0 ? grant(asking) : joinByNatPmp(asking, existing);
  return withTouched(asking, existing.length === 0 ? grant(asking) : joinByPcp(asking, existing));
}

/** RFC 7753 §4.4: what a set overlaps of the same client's is refreshed, each for itself. */
function withTouched(asking: Asking, decision: Decision): Decision {
  if (!decision.ok || decision.answer.kind !== "mapped" || asking.command.portSet === null) return decision;
  const key = pcpClaim(asking.command.nonce);
  const touched = touchedClaims(asking, decision.answer.mappingId, key);
  if (touched.length === 0) return decision;
  // Each within the life that it has: the request is for the set, and pays for one event.
  const expiresAt = ({ lifetime }: Claim): number =>
    asking.command.now + Math.min(grantedLifetime(asking), lifetime ?? STATIC_LIFETIME) * 1000;
  const renewals = touched.map(({ mappingId, claim }) => ({ mappingId, claimKey: key, expiresAt: expiresAt(claim) }));
  const claims = touched.map(({ mappingId }) => ({ mappingId, claimKey: key }));
  return {
    ...decision,
    renewals: [...decision.renewals, ...renewals],
    answer: { ...decision.answer, touched: claims },
  };
}

function decideMapNames(
  command: Asking["command"],
  names: readonly string[],
  state: State,
  deadlines: Deadlines,
): Decision {
  const { internalPort, suggestedPort, suggestedAddress } = command;
  if (isIpv6(command.device)) {
    return refuse("HOSTNAME_UNSUPPORTED", "each IPv6 host has all of its ports: none is shared by TLS name");
  }
  if (transportOf(command.protocol) !== "tcp" || internalPort === 0) {
    return refuse("HOSTNAME_UNSUPPORTED", "only single TCP ports are led to by TLS name");
  }
  const externalPort = suggestedPort === 0 ? internalPort : suggestedPort;
  const claim = newClaim({ command, state });
  if ("code" in claim) return { ok: false, refusal: claim };
  if (claim.filters.length > 0) {
    return refuse("HOSTNAME_UNSUPPORTED", "a TLS name is reached by everyone: it is known when a peer is in already");
  }
  return decideNames({ ...command, externalPort, suggestedAddress, names, claim }, state, deadlines);
}

/** Mappings of whole ports on this WAN that end at the port asked for, oldest first. */
function ownMappings({ command, state, wan, protocol }: Asking): Mapping[] {
  const leading = mappingsTo(state, command.device, protocol, command.internalPort);
  return leading.filter((mapping) => mapping.wan === wan && mapping.name === null);
}

function joinByPcp(asking: Asking, existing: readonly Mapping[]): Decision {
  const { command } = asking;
  const key = pcpClaim(command.nonce);
  const mine = existing.find((mapping) => mapping.claims.some((claim) => claim.key === key));
  if (mine !== undefined) return renew(asking, mine, key);
  const pcp = existing.filter((mapping) => mapping.claims.some((claim) => claim.source === "pcp"));
  if (asking.nonceRule === "strict" && pcp[0] !== undefined) {
    const message = "another PCP nonce holds this port's mapping; it ends with that claim's lease";
    return refuse("NONCE_MISMATCH", message, { retryAfter: remaining(asking, pcp[0], "pcp") });
  }
  const suggested = command.suggestedPort;
  const sameExternal = existing.find((mapping) => externalPortFor(asking, mapping) === suggested);
  if (sameExternal !== undefined) return join(asking, sameExternal);
  // A host that asks for its second external port with a second nonce gets it (StartOS keeps 80→443 beside 443→443).
  // One that cannot get it joins: clients that draw a new nonce for each renewal would pile up ports.
  if (pcp.length > 0 && suggested !== 0 && isFree(asking, suggested)) return grant(asking);
  return join(asking, existing[0] as Mapping);
}

function joinByNatPmp(asking: Asking, existing: readonly Mapping[]): Decision {
  const mine = existing.find((mapping) => mapping.claims.some((claim) => claim.key === NATPMP_CLAIM));
  // RFC 6886 §3.3: a mapping for this internal port exists, so the answer is the port it has.
  return mine === undefined ? join(asking, existing[0] as Mapping) : renew(asking, mine, NATPMP_CLAIM);
}

function isFree({ command, state, wan, protocol }: Asking, port: number): boolean {
  // A pinhole has the port that it has inside.
  if (isIpv6(command.device)) return false;
  return hindrance(state, { wan, protocol, port }, command.device, command.now) === null;
}

/** The external port that stands for the internal one asked about; a range has several. */
function externalPortFor({ command }: Asking, mapping: Mapping): number {
  return mapping.externalPort + (command.internalPort - mapping.internalPort);
}

function unmetPreference(asking: Asking, externalPort: number): boolean {
  const { suggestedAddress, suggestedPort, preferFailure } = asking.command;
  if (!preferFailure) return false;
  // PCP-S-28: an all-zeros suggested address means any of the gateway's.
  return suggestedPort !== externalPort || (suggestedAddress !== null && suggestedAddress !== asking.address);
}

const CANNOT_MEET = "the suggested external address and port cannot be given, and PREFER_FAILURE asked for no other";

function join(asking: Asking, mapping: Mapping): Decision {
  const { command, state } = asking;
  if (!mapping.enabled) return refuse("NOT_AUTHORIZED", `an operator disabled this mapping (${mapping.id})`);
  if (unmetPreference(asking, externalPortFor(asking, mapping))) return refuse("CANNOT_PROVIDE_EXTERNAL", CANNOT_MEET);
  const answer = answerOf(asking, askedPart(asking, mapping));
  // RFC 6887 §11.3: a static mapping is confirmed and nothing of the request is stored.
  if (heldByOperatorAlone(mapping) || mapping.count > 1) {
    if (command.filters.some((each) => each !== "clear")) {
      const message = `${mapping.id} is not this client's alone: who reaches it is not for its FILTER to say`;
      return refuse("NOT_AUTHORIZED", message);
    }
    return accept([], { ...answer, claimKey: null, lifetime: staticLifetime(asking, mapping) });
  }
  const refusal = tooOften(state, command);
  if (refusal !== null) return { ok: false, refusal };
  const claim = newClaim(asking);
  if ("code" in claim) return { ok: false, refusal: claim };
  const shared = unfilterable(state, mapping, claim.filters);
  if (shared !== null) return { ok: false, refusal: shared };
  // Who asks in the place of others makes room among its own.
  const pcp = mapping.claims.filter((other) => other.source === "pcp" && other.device === claim.device);
  const events: PortreeveEvent[] = [];
  if (command.by === "pcp" && pcp.length >= CLAIMS_PER_MAPPING_MAX && pcp[0] !== undefined) {
    events.push(event("lease.released", { mappingId: mapping.id, claimKey: pcp[0].key, reason: "replaced" }));
  }
  events.push(event("lease.granted", { mappingId: mapping.id, claim }));
  return accept(events, { ...answer, claimKey: claim.key, lifetime: claim.lifetime ?? STATIC_LIFETIME });
}

/** RFC 6886 has no word for "without end": the client gets what it asked for, and asks again. */
function staticLifetime(asking: Asking, mapping: Mapping): number {
  const wanted = asking.command.by === "pcp" ? STATIC_LIFETIME : grantedLifetime(asking);
  return untilItEnds(asking, mapping, wanted);
}

function renew(asking: Asking, mapping: Mapping, claimKey: string): Decision {
  if (!mapping.enabled) return refuse("NOT_AUTHORIZED", `an operator disabled this mapping (${mapping.id})`);
  if (unmetPreference(asking, externalPortFor(asking, mapping))) return refuse("CANNOT_PROVIDE_EXTERNAL", CANNOT_MEET);
  const claim = mapping.claims.find((other) => other.key === claimKey) as Claim;
  const filters = filtersAfter(claim.filters, asking.command.filters);
  if ("code" in filters) return { ok: false, refusal: filters };
  const shared = unfilterable(asking.state, mapping, filters);
  if (shared !== null) return { ok: false, refusal: shared };
  const changes = sameFilters(filters, claim.filters) ? {} : { filters };
  const lease = renewed(asking, { mappingId: mapping.id, claim }, grantedLifetime(asking), changes);
  if ("code" in lease) return { ok: false, refusal: lease };
  const { events, renewals, lifetime } = lease;
  return accept(events, { ...answerOf(asking, mapping), claimKey, lifetime }, renewals);
}

function grant(asking: Asking): Decision {
  const { command, state, wan, protocol } = asking;
  const off = ownMappings(asking).find((mapping) => !mapping.enabled);
  if (off !== undefined) return refuse("NOT_AUTHORIZED", `an operator disabled ${off.id}, which leads there`);
  const refusal = overQuota(state, command) ?? tooOften(state, command);
  if (refusal !== null) return { ok: false, refusal };
  const picked = pickPorts(asking);
  if ("ok" in picked) return picked;
  const claim = newClaim(asking);
  if ("code" in claim) return { ok: false, refusal: claim };
  const granted = deviceGrant(command, state, { wan, protocol, ...picked, name: null }, claim);
  const lifetime = claim.lifetime ?? STATIC_LIFETIME;
  return accept([granted], { ...answerOf(asking, granted.data), claimKey: claim.key, lifetime });
}

/** What is said of a mapping: of the port that was asked about, or where a set was asked for and is there, of all of it. */
function answerOf(
  { command, address }: Asking,
  { id, externalPort, internalPort, count }: Pick<Mapping, "id" | "externalPort" | "internalPort" | "count">,
) {
  const answer = { kind: "mapped", mappingId: id, externalAddress: address } as const;
  if (command.portSet !== null && count > 1) {
    return { ...answer, externalPort, set: { firstInternalPort: internalPort, count } };
  }
  return { ...answer, externalPort: externalPort + (command.internalPort - internalPort) };
}

/** The ports of a mapping that were asked for: RFC 7753 §4.2 has no others mapped at a client's wish. */
function askedPart({ command }: Asking, mapping: Mapping): Mapping {
  const offset = command.internalPort - mapping.internalPort;
  const count = Math.min(mapping.count - offset, command.portSet?.size ?? 1);
  return { ...mapping, externalPort: mapping.externalPort + offset, internalPort: command.internalPort, count };
}

function pickPorts(asking: Asking): Pick<Mapping, "externalPort" | "count"> | Decision {
  const { command, state, wan, protocol } = asking;
  const alone = command.filters.some((each) => each !== "clear");
  if (isIpv6(command.device)) {
    if (unmetPreference(asking, command.internalPort)) {
      return { ok: false, refusal: { code: "CANNOT_PROVIDE_EXTERNAL", message: CANNOT_MEET } };
    }
    return { externalPort: command.internalPort, count: 1 };
  }
  if (command.preferFailure) {
    const place = { wan, protocol, port: command.suggestedPort, alone };
    const blocked = hindrance(state, place, command.device, command.now);
    if (blocked === null && !unmetPreference(asking, command.suggestedPort)) {
      return { externalPort: command.suggestedPort, count: 1 };
    }
    if (blocked === null) return refuse("CANNOT_PROVIDE_EXTERNAL", CANNOT_MEET);
    const { message, conflicts } = hindranceText(place, blocked);
    return refuse("CANNOT_PROVIDE_EXTERNAL", `${message}, and PREFER_FAILURE asked for no other`, { conflicts });
  }
  const internal = command.internalPort >= 1024 ? [command.internalPort] : [];
  const preferred = command.suggestedPort === 0 ? internal : [command.suggestedPort, ...internal];
  const count = internalRun(asking);
  if (count > 1) {
    const run = externalRun(asking, preferred, count);
    if (run !== null) return run;
  }
  const externalPort = choosePort(state, { wan, protocol, preferred, alone }, command.device, command);
  if (externalPort !== null) return { externalPort, count: 1 };
  const message = `no external ${protocol} port is free`;
  return { ok: false, refusal: { code: "NO_FREE_PORT", message, retryAfter: 30 } };
}

function newClaim(asking: Pick<Asking, "command" | "state">): Granted | Refusal {
  const { command } = asking;
  const filters = filtersAfter([], command.filters);
  if ("code" in filters) return filters;
  const lifetime = grantedLifetime(asking);
  return {
    key: mapClaim(command),
    source: command.by,
    device: command.askedBy ?? command.device,
    nonce: command.nonce,
    clientPort: command.clientPort,
    lifetime,
    expiresAt: command.now + lifetime * 1000,
    filters,
    description: null,
    enabled: true,
    ...(command.preferFailure && { insistsOn: { address: command.suggestedAddress, port: command.suggestedPort } }),
  };
}

/** PCP may lengthen (RFC 6887 §15); NAT-PMP SHOULD NOT (RFC 6886 §3.3). */
function grantedLifetime({ command, state }: Pick<Asking, "command" | "state">): number {
  const { pcpMin, max } = state.settings.portControl.lifetime;
  const capped = Math.min(command.lifetime, max);
  return command.by === "pcp" ? Math.max(capped, pcpMin) : capped;
}
