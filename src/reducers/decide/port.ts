import { OPERATOR_CLAIM } from "../../events/claim-key.ts";
import { event, type EventData, type PortreeveEvent } from "../../events/index.ts";
import type { Transport } from "../../events/fields.ts";
import { type Claim, FILTERS_MAX, type PeerFilter, SOURCES_MAX } from "../../events/mapping.ts";
import { distinctNetworks } from "../../lib/networks.ts";
import { serverNameOf } from "../../lib/server-name.ts";
import { tableGet } from "../../lib/table.ts";
import { deviceAt } from "../device.ts";
import { wanOf } from "../device-wan.ts";
import { preferredWan } from "../external-address.ts";
import { tunnelInterface } from "../served.ts";
import { type Device, internalKey, isPinhole, type Mapping, type State } from "../state.ts";
import type { CommandOf, Decision, Refusal, SubmissionOf } from "./command.ts";
import { protection } from "./external-port.ts";
import { UNAVAILABLE } from "./map-names.ts";
import { markOf } from "./mark.ts";
import { newId } from "./new-id.ts";
import { accept, refuse } from "./refusal.ts";
import { servedInterfaceOf, unfitHost } from "./served-place.ts";
import { heldByOperator } from "../operator-holds.ts";
import { wantedPeers } from "../reach.ts";
import { inTheWay } from "../sharing.ts";
import { unknownWan } from "./wan.ts";

/** What can be done to one port. */
export type PortCommand =
  | {
      readonly type: "port.add";
      readonly protocol: Transport;
      readonly externalPort: number;
      readonly count: number;
      readonly internalAddress: string;
      readonly internalPort: number;
      readonly label: string | null;
      readonly enabled: boolean;
      /** Seconds; null: no end. */
      readonly lifetime: number | null;
      /** Null: the preferred WAN. */
      readonly wan: string | null;
      /** The declaration that it is of. */
      readonly managedBy?: string;
      /** What the host sees of visitors; null: chosen by its profile. */
      readonly sourceAddress: Mapping["sourceAddress"];
      /** The only networks it is reached from; empty: everywhere. */
      readonly from: readonly string[];
      /** One TLS name of the port, which others share; absent: the whole port, or what no name is for. */
      readonly name?: string | null;
    }
  | {
      readonly type: "port.edit";
      readonly id: string;
      readonly externalPort?: number;
      readonly internalAddress?: string;
      readonly internalPort?: number;
      readonly count?: number;
      readonly label?: string | null;
      readonly enabled?: boolean;
      readonly sourceAddress?: Mapping["sourceAddress"];
      readonly from?: readonly string[];
      readonly lifetime?: number | null;
    }
  | { readonly type: "port.remove"; readonly id: string }
  | { readonly type: "port.keep"; readonly id: string }
  /** Ends its claims and refuses further asking for it. */
  | { readonly type: "port.block"; readonly id: string }
  | {
      readonly type: "port.unblock";
      readonly device: string;
      readonly protocol: Transport;
      readonly internalPort: number;
    };

type Place = Pick<
  Mapping,
  "wan" | "protocol" | "externalPort" | "internalAddress" | "internalPort" | "count" | "name" | "from"
>;

/** A range of n ports is up to 3n elements in the kernel, written in one transaction while others wait. */
const RANGE_PORTS_MAX = 4096;
const name = (place: Pick<Place, "protocol" | "externalPort"> & { readonly name?: string | null }): string =>
  `${place.protocol} ${place.externalPort}${typeof place.name === "string" ? ` of ${place.name}` : ""}`;

function manualClaim(now: number, lifetime: number | null, filters: readonly PeerFilter[] = []): Claim {
  const expiresAt = lifetime === null ? null : now + lifetime * 1000;
  return {
    key: OPERATOR_CLAIM,
    source: "manual",
    device: null,
    nonce: null,
    clientPort: null,
    lifetime,
    expiresAt,
    filters: [...filters],
    description: null,
    enabled: true,
  };
}

/** The registered device that an operator forwards to, if it is one. */
function targetDevice(state: State, address: string): Device | undefined {
  const lan = servedInterfaceOf(state, address);
  const onLan = lan === tunnelInterface(state) ? undefined : deviceAt(state, lan, address);
  return onLan ?? deviceAt(state, null, address);
}

/** What is wrong with where an operator wants packets to go, before anyone else is asked. */
export function badPlace(state: State, place: Place): Refusal | null {
  const unfit = unfitHost(state, place.internalAddress);
  if (unfit !== null) return unfit;
  if (place.count > RANGE_PORTS_MAX) {
    const message = `a range holds at most ${RANGE_PORTS_MAX} ports, this one has ${place.count}; add it in parts`;
    return { code: "INVALID_REQUEST", message };
  }
  if (place.name !== null && (place.protocol !== "tcp" || place.count > 1 || place.from.length > 0)) {
    const message = "a route is one TCP port that everybody reaches: names are told apart when a visitor is in already";
    return { code: "INVALID_REQUEST", message };
  }
  const last = Math.max(place.externalPort, place.internalPort) + place.count - 1;
  if (last > 65535) return { code: "INVALID_REQUEST", message: `the range would end at ${last}, beyond 65535` };
  for (let port = place.externalPort; port < place.externalPort + place.count; port += 1) {
    const why = protection(state, place.protocol, port);
    if (why !== null) {
      return { code: "PORT_PROTECTED", message: `${place.protocol} ${port} cannot be forwarded: ${why}` };
    }
  }
  return null;
}

function taken(others: readonly Mapping[]): Decision {
  const first = others[0] as Mapping;
  const owner = first.label ?? `${first.internalAddress}:${first.internalPort}`;
  const message = `${name(first)} already goes to ${owner} (${first.id}); remove that first, or edit it`;
  return refuse("PORT_TAKEN", message, { conflicts: others.map((other) => other.id) });
}

const endClaims = (mapping: Mapping, keep: (claim: Claim) => boolean = () => false): PortreeveEvent[] =>
  mapping.claims
    .filter((claim) => !keep(claim))
    .map((claim) => event("lease.released", { mappingId: mapping.id, claimKey: claim.key, reason: "operator" }));

export function decidePortAdd(command: SubmissionOf<"port.add">, state: State): Decision {
  const device = targetDevice(state, command.internalAddress);
  const wan = command.wan ?? (device === undefined ? preferredWan(state) : wanOf(state, device));
  if (wan === null) {
    const message = "no WAN interface is known: set wan.interfaces, or give the machine a default route";
    return refuse("NO_EXTERNAL_ADDRESS", message);
  }
  const unknown = command.wan === null ? null : unknownWan(state, command.wan);
  if (unknown !== null) return { ok: false, refusal: unknown };
  const from = distinctSources(command.from);
  if (from === null) return { ok: false, refusal: BAD_SOURCES };
  const routed = nameOf(command);
  if (typeof routed === "object" && routed !== null) return { ok: false, refusal: routed };
  const { protocol, externalPort, internalAddress, internalPort, count } = command;
  const place: Place = { wan, protocol, externalPort, internalAddress, internalPort, count, name: routed, from };
  const bad = badPlace(state, place);
  if (bad !== null) return { ok: false, refusal: bad };
  const others = inTheWay(state, place, null);
  const claim = { ...manualClaim(command.now, command.lifetime), ...markOf(command) };
  // An operator's decision wins over a device's, and only over a device's.
  const operators = others.filter(heldByOperator);
  if (operators.length > 0) return taken(operators);
  const same = others.find((other) => goesTo(other, place));
  const ended = others.filter((other) => other !== same).flatMap((other) => endClaims(other));
  if (same !== undefined) return adopt(same, { ...command, from }, claim, ended);
  const id = newId("m", state, command);
  const { label, enabled, sourceAddress } = command;
  const granted = event("mapping.granted", {
    id,
    ...place,
    host: null,
    interface: servedInterfaceOf(state, internalAddress),
    label,
    enabled,
    sourceAddress,
    claim,
  });
  return accept([...ended, granted], { kind: "ids", ids: [id] });
}

/** The TLS name that is asked for, as it is kept. */
function nameOf({ name: asked = null, sharesPorts }: SubmissionOf<"port.add">): string | null | Refusal {
  if (asked === null) return null;
  if (sharesPorts === false) return UNAVAILABLE;
  const kept = serverNameOf(asked);
  if (kept !== null) return kept;
  const message = `${asked} is not a TLS name: write it as nas.example.org, or *.example.org for all that are one label longer`;
  return { code: "HOSTNAME_UNSUPPORTED", message };
}

const goesTo = (mapping: Mapping, place: Place): boolean =>
  mapping.externalPort === place.externalPort &&
  mapping.count === place.count &&
  mapping.name === place.name &&
  mapping.internalAddress === place.internalAddress &&
  mapping.internalPort === place.internalPort;

/** The same forward is there already by a device's asking: the operator's claim joins it. */
function adopt(
  mapping: Mapping,
  command: CommandOf<"port.add">,
  claim: Claim,
  ended: readonly PortreeveEvent[],
): Decision {
  const events: PortreeveEvent[] = [...ended, event("lease.granted", { mappingId: mapping.id, claim })];
  const { label, enabled, sourceAddress, from } = command;
  const changes = changedFields({ label, enabled, sourceAddress, from }, mapping);
  if (Object.keys(changes).length > 0) events.push(event("mapping.changed", { id: mapping.id, ...changes }));
  return accept(events, { kind: "ids", ids: [mapping.id] });
}

export function decidePortEdit(command: SubmissionOf<"port.edit">, state: State): Decision {
  const mapping = tableGet(state.mappings, command.id);
  if (mapping === undefined) return notFound(command.id);
  const from = distinctSources(command.from ?? []);
  if (from === null) return { ok: false, refusal: BAD_SOURCES };
  const changes = changedFields(command.from === undefined ? command : { ...command, from }, mapping);
  // What is on already may be edited: it says what is to be once HAProxy is back.
  if (changes.enabled === true && mapping.name !== null && command.sharesPorts === false)
    return { ok: false, refusal: UNAVAILABLE };
  const chosen = ["sourceAddress", "from"].some((field) => field in changes);
  const moves = ["externalPort", "internalAddress", "internalPort", "count"].some((field) => field in changes);
  if (isPinhole(mapping) && (moves || chosen)) {
    const message = `${name(mapping)} is a pinhole for ${mapping.internalAddress}: it can only be labelled, disabled, kept, blocked or ended`;
    return refuse("INVALID_REQUEST", message);
  }
  if (!heldByOperator(mapping) && (moves || chosen || command.lifetime !== undefined)) {
    const message = `a device asked for ${name(mapping)}, it can only be labelled, disabled or ended; \`port keep\` makes it yours`;
    return refuse("NOT_AUTHORIZED", message);
  }
  const events: PortreeveEvent[] = [];
  if (moves || changes.from !== undefined) {
    const place = { ...mapping, ...changes } as Place;
    const bad = moves || place.name !== null ? badPlace(state, place) : null;
    if (bad !== null) return { ok: false, refusal: bad };
    const others = inTheWay(state, place, mapping.id);
    const operators = others.filter(heldByOperator);
    if (operators.length > 0) return taken(operators);
    // Devices asked for the place the mapping had; what it becomes is the operator's alone.
    if (moves) events.push(...endClaims(mapping, (claim) => claim.source === "manual"));
    events.push(...others.flatMap((other) => endClaims(other)));
    if (moves) changes.interface = servedInterfaceOf(state, place.internalAddress);
  }
  if (Object.keys(changes).length > 0) events.push(event("mapping.changed", { id: mapping.id, ...changes }));
  return accept([...events, ...ownTerms(command, mapping)], { kind: "ids", ids: [mapping.id] });
}

/** The operator's claim: until when, and without the peers of a device that it was kept with once it is said who comes in. */
function ownTerms(command: SubmissionOf<"port.edit">, mapping: Mapping): PortreeveEvent[] {
  const before = mapping.claims.find((claim) => claim.source === "manual");
  if (before === undefined) return [];
  const { lifetime, expiresAt } = command.lifetime === undefined ? before : manualClaim(command.now, command.lifetime);
  const saysWho = command.from !== undefined && before.filters.length > 0;
  if (before.lifetime === lifetime && before.expiresAt === expiresAt && !saysWho) return [];
  const terms = { lifetime, expiresAt, ...(saysWho && { filters: [] }) };
  return [event("lease.changed", { mappingId: mapping.id, claimKey: OPERATOR_CLAIM, ...terms })];
}

type Changes = Omit<EventData<"mapping.changed">, "id">;

type Editable = Pick<CommandOf<"port.edit">, (typeof EDITABLE)[number]>;
const EDITABLE = [
  "externalPort",
  "internalAddress",
  "internalPort",
  "count",
  "label",
  "enabled",
  "sourceAddress",
  "from",
] as const;

function changedFields(wanted: Editable, mapping: Mapping): Changes {
  const changed = EDITABLE.filter(
    (field) => wanted[field] !== undefined && JSON.stringify(wanted[field]) !== JSON.stringify(mapping[field]),
  );
  return Object.fromEntries(changed.map((field) => [field, wanted[field]])) as Changes;
}

const BAD_SOURCES: Refusal = {
  code: "INVALID_REQUEST",
  message: `a forward is reached from at most ${SOURCES_MAX} IPv4 networks, each as 203.0.113.0/24`,
};

/** Everywhere is no restriction. Null: they are no networks, or too many. */
function distinctSources(texts: readonly string[]): string[] | null {
  const networks = distinctNetworks(texts);
  if (networks?.[0]?.endsWith("/0") === true) return [];
  return networks !== null && networks.length > SOURCES_MAX ? null : networks;
}

/** Ends all claims and live flows; a device may ask again. */
export function decidePortRemove(command: CommandOf<"port.remove">, state: State): Decision {
  const mapping = tableGet(state.mappings, command.id);
  if (mapping === undefined) return notFound(command.id);
  return accept(endClaims(mapping), { kind: "ids", ids: [mapping.id] });
}

/** As it is: whom devices keep out is kept out, and what they have closed for now waits to be enabled. */
export function decidePortKeep(command: SubmissionOf<"port.keep">, state: State): Decision {
  const mapping = tableGet(state.mappings, command.id);
  if (mapping === undefined) return notFound(command.id);
  const answer = { kind: "ids", ids: [mapping.id] } as const;
  const mine = mapping.claims.find((claim) => claim.source === "manual");
  if (mine === undefined) {
    const peers = wantedPeers(mapping.claims);
    if (peers !== null && peers.length > FILTERS_MAX) {
      const fix = isPinhole(mapping) ? "its host has to ask for fewer" : "`port add` says whom it is to let in";
      const message = `${name(mapping)} lets in ${peers.length} networks for its devices, more than the ${FILTERS_MAX} of one claim; ${fix}`;
      return refuse("TOO_MANY_FILTERS", message);
    }
    const kept = event("lease.granted", { mappingId: mapping.id, claim: manualClaim(command.now, null, peers ?? []) });
    const closed = peers === null && mapping.enabled;
    return accept(closed ? [event("mapping.changed", { id: mapping.id, enabled: false }), kept] : [kept], answer);
  }
  if (mine.expiresAt === null) return accept([], answer);
  const endless = { mappingId: mapping.id, claimKey: OPERATOR_CLAIM, lifetime: null, expiresAt: null };
  return accept([event("lease.changed", endless)], answer);
}

/** Ends all claims and refuses the device that asks again for the same internal port. */
export function decidePortBlock(command: CommandOf<"port.block">, state: State): Decision {
  const mapping = tableGet(state.mappings, command.id);
  if (mapping === undefined) return notFound(command.id);
  const { internalAddress, internalPort, protocol, count } = mapping;
  if (count > 1) {
    const message =
      "single ports are blocked, and this is a range; remove it, and take the device its right to open ports";
    return refuse("INVALID_REQUEST", message);
  }
  const events: PortreeveEvent[] = endClaims(mapping);
  if (state.blocks[internalKey(internalAddress, protocol, internalPort)] === undefined) {
    events.unshift(event("block.set", { device: internalAddress, protocol, internalPort }));
  }
  return accept(events, { kind: "ids", ids: [mapping.id] });
}

export function decidePortUnblock(command: CommandOf<"port.unblock">, state: State): Decision {
  const { device, protocol, internalPort } = command;
  if (state.blocks[internalKey(device, protocol, internalPort)] === undefined) {
    return refuse("NOT_FOUND", `${protocol} ${internalPort} of ${device} is not blocked`);
  }
  return accept([event("block.lifted", { device, protocol, internalPort })], { kind: "done" });
}

function notFound(id: string): Decision {
  return refuse("NOT_FOUND", `there is no port ${id}; \`portreeve port list\` shows those there are`);
}
