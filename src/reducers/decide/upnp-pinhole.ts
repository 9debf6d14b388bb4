import { pinholeClaim, uniqueIdOf } from "../../events/claim-key.ts";
import { event } from "../../events/index.ts";
import type { Claim, PeerFilter } from "../../events/mapping.ts";
import { mappingAt } from "../port-index.ts";
import { sameFilters } from "../reach.ts";
import type { Mapping, State } from "../state.ts";
import { pinholeOf, upnpPinholesOf } from "../upnp-pinholes.ts";
import { type Admitted, admit } from "./admission.ts";
import type { CommandEnvelope, Decision } from "./command.ts";
import type { Deadlines } from "../deadlines.ts";
import { deviceGrant } from "./device-grant.ts";
import { overQuota, tooOften } from "./device-limits.ts";
import { renewed } from "./lease-terms.ts";
import { transportOf } from "./map.ts";
import { accept, refuse } from "./refusal.ts";
import { CLAIMS_MAX, PORT_FIRST } from "./upnp-limits.ts";

interface PinholeCaller {
  readonly interface: string;
  /** Source address of the request, over IPv4. */
  readonly caller: string;
}

/** AddPinhole (WANIPv6FirewallControl:1 §2.5.3). */
export interface UpnpPinhole extends PinholeCaller {
  readonly type: "upnpPinhole";
  /** InternalClient: it has to be the caller's own. */
  readonly device: string;
  /** The IPv4 address of the station that has it on a LAN; null: none is known. */
  readonly host: string | null;
  /** IANA protocol number. */
  readonly protocol: number;
  readonly internalPort: number;
  /** The one peer that is let in; null: everyone. */
  readonly remoteHost: string | null;
  /** Null: any. */
  readonly remotePort: number | null;
  /** Seconds. */
  readonly lifetime: number;
}

/** UpdatePinhole (§2.5.4), of the caller's own. */
export interface UpnpPinholeUpdate extends PinholeCaller {
  readonly type: "upnpPinholeUpdate";
  readonly uniqueId: number;
  /** The IPv4 address of the station that has the pinhole's address now; null: none is known. */
  readonly host: string | null;
  readonly lifetime: number;
}

/** DeletePinhole (§2.5.5), of the caller's own. */
export interface UpnpPinholeDelete extends PinholeCaller {
  readonly type: "upnpPinholeDelete";
  readonly uniqueId: number;
}

export type UpnpPinholeCommand = UpnpPinhole | UpnpPinholeUpdate | UpnpPinholeDelete;

const EVERYWHERE = "::/0";
/** UniqueID is a ui2 (§2.2.6). */
const IDS = 0x10000;

interface Asking extends Admitted {
  readonly command: CommandEnvelope & UpnpPinhole;
  readonly state: State;
  readonly deadlines: Deadlines;
}

export function decideUpnpPinhole(
  command: CommandEnvelope & UpnpPinhole,
  state: State,
  deadlines: Deadlines,
): Decision {
  const { internalPort, device, caller } = command;
  const protocol = transportOf(command.protocol);
  if (protocol === null)
    return refuse("UNSUPPORTED_PROTOCOL", `IANA protocol ${command.protocol} has no pinholes here`);
  if (internalPort < PORT_FIRST) {
    const message = `port ${internalPort} is below ${PORT_FIRST}: anybody on the network can ask by UPnP; PCP opens it`;
    return refuse("NOT_AUTHORIZED", message);
  }
  const another = `${device} is not known to be ${caller}, and a host opens pinholes to itself only`;
  const admitted = admit(state, command, protocol);
  if ("code" in admitted) {
    // Only of who is there, in a network that we are about to hear of, is it a matter of waiting (PINH-04).
    const isThere = admitted.code !== "NO_EXTERNAL_ADDRESS" || command.host === caller;
    return isThere ? { ok: false, refusal: admitted } : refuse("NOT_AUTHORIZED", another);
  }
  if (admitted.host !== caller) return refuse("NOT_AUTHORIZED", another);
  const asking: Asking = { command: { ...command, host: caller }, state, deadlines, ...admitted };
  const there = mappingAt(state, device, protocol, internalPort);
  if (there === undefined) return grant(asking);
  if (!there.enabled) return refuse("NOT_AUTHORIZED", `an operator disabled this pinhole (${there.id})`);
  const wanted = filtersOf(command);
  const same = there.claims.find((claim) => uniqueIdOf(claim) !== null && sameFilters(claim.filters, wanted));
  return same === undefined ? join(asking, there) : extend(asking, there, same);
}

function filtersOf({ remoteHost, remotePort }: UpnpPinhole): PeerFilter[] {
  if (remoteHost === null && remotePort === null) return [];
  return [{ prefix: remoteHost === null ? EVERYWHERE : `${remoteHost}/128`, port: remotePort }];
}

function grant(asking: Asking): Decision {
  const { command, state, wan } = asking;
  const refusal = overQuota(state, command) ?? tooOften(state, command);
  if (refusal !== null) return { ok: false, refusal };
  const protocol = transportOf(command.protocol);
  const claim = claimOf(asking);
  if (protocol === null || claim === null) return noNumber();
  const place = { wan, protocol, externalPort: command.internalPort, count: 1, name: null };
  const granted = deviceGrant(command, state, place, claim);
  return accept([granted], answerOf(asking, granted.data.id, claim.key, claim.lifetime));
}

/** The pinhole is there, whoever asked for it: this is one claim more. */
function join(asking: Asking, mapping: Mapping): Decision {
  const { command, state } = asking;
  if (mapping.claims.length >= CLAIMS_MAX) {
    return refuse("QUOTA_EXCEEDED", `${mapping.id} has ${CLAIMS_MAX} claims, as many as it may; release one first`);
  }
  const refusal = tooOften(state, command);
  if (refusal !== null) return { ok: false, refusal };
  const claim = claimOf(asking);
  if (claim === null) return noNumber();
  const joined = event("lease.granted", { mappingId: mapping.id, claim });
  return accept([joined], answerOf(asking, mapping.id, claim.key, claim.lifetime));
}

/** §2.5.3: the same again has the number that it has. */
function extend(asking: Asking, mapping: Mapping, claim: Claim): Decision {
  const lease = renewed(asking, { mappingId: mapping.id, claim }, lifetimeOf(asking));
  if ("code" in lease) return { ok: false, refusal: lease };
  return accept(lease.events, answerOf(asking, mapping.id, claim.key, lease.lifetime), lease.renewals);
}

const answerOf = ({ command }: Asking, mappingId: string, claimKey: string, lifetime: number) =>
  ({
    kind: "mapped",
    mappingId,
    claimKey,
    externalAddress: command.device,
    externalPort: command.internalPort,
    lifetime,
  }) as const;

const noNumber = (): Decision => refuse("QUOTA_EXCEEDED", "there is no number left for a pinhole of this host");

function lifetimeOf({ command, state }: Pick<Asking, "state"> & { command: { lifetime: number } }): number {
  return Math.min(command.lifetime, state.settings.portControl.lifetime.max);
}

function claimOf(asking: Asking): (Claim & { lifetime: number }) | null {
  const { command, state } = asking;
  const used = new Set(upnpPinholesOf(state, command.interface, command.caller).map(({ claim }) => uniqueIdOf(claim)));
  const ids = Array.from({ length: used.size + 1 }, (_, step) => ((command.entropy >>> 8) + step) % IDS);
  const id = ids.find((each) => !used.has(each));
  if (id === undefined) return null;
  const lifetime = lifetimeOf(asking);
  return {
    key: pinholeClaim(id),
    source: "upnp",
    device: command.device,
    nonce: null,
    clientPort: null,
    lifetime,
    expiresAt: command.now + lifetime * 1000,
    filters: filtersOf(command),
    description: null,
    enabled: true,
  };
}

const notThere = (uniqueId: number): Decision =>
  refuse("NOT_FOUND", `this host has no pinhole with the number ${uniqueId}`);

export function decideUpnpPinholeUpdate(
  command: CommandEnvelope & UpnpPinholeUpdate,
  state: State,
  deadlines: Deadlines,
): Decision {
  const found = pinholeOf(state, command, command.uniqueId);
  if (found === null) return notThere(command.uniqueId);
  const { mapping, claim } = found;
  if (!mapping.enabled) return refuse("NOT_AUTHORIZED", `an operator disabled this pinhole (${mapping.id})`);
  // A longer life is asked for by the same right as a new pinhole; a host that was asked lately is known to be no other.
  const { internalAddress: device, internalPort } = mapping;
  if (command.host !== null && command.host !== command.caller) {
    return refuse("NOT_AUTHORIZED", `${device} is ${command.host}'s now, and a host keeps pinholes to itself only`);
  }
  const requester = { interface: command.interface, device, host: command.caller, internalPort };
  const admitted = admit(state, requester, mapping.protocol);
  if ("code" in admitted) return { ok: false, refusal: admitted };
  const asking = { command: { ...command, device: command.caller }, state, deadlines };
  const lease = renewed(asking, { mappingId: mapping.id, claim }, lifetimeOf({ command, state }));
  if ("code" in lease) return { ok: false, refusal: lease };
  return accept(lease.events, { kind: "done" }, lease.renewals);
}

export function decideUpnpPinholeDelete(command: CommandEnvelope & UpnpPinholeDelete, state: State): Decision {
  const found = pinholeOf(state, command, command.uniqueId);
  if (found === null) return notThere(command.uniqueId);
  const released = { mappingId: found.mapping.id, claimKey: found.claim.key, reason: "client" } as const;
  return accept([event("lease.released", released)], { kind: "done" });
}
