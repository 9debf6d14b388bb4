import type { EventData, PortreeveRecord } from "../../src/events/index.ts";
import type { Command, MapRequest } from "../../src/reducers/decide/command.ts";
import { unjustifiedName } from "./name-rules.ts";
import { isFreeFor, transportName } from "./places.ts";
import {
  isOfSharers,
  isShareable,
  isUndecidedShare,
  wrongSharedChange,
  wrongSharedGrant,
  wrongSharedJoin,
  wrongSharedRelease,
} from "./share-rules.ts";
import { isUndecidedOfGuest } from "./right-answers.ts";
import { isOfGuests, wrongForGuests } from "./right-rules.ts";
import { isShared } from "./share-requests.ts";
import { blockKey, isProtected, type PromisedMapping, type Promises } from "./promises.ts";

/** A command as it was sent, and when. */
export type Sent = Command & { readonly requestId: string; readonly source: string; readonly now: number };
type SentMap = MapRequest & { readonly now: number };

/**
 * Why this record should not have been made, by the command it names and by all that was promised before; null: it is
 * right. `undecided`: commands of which nobody has heard the outcome, and never will if the process was killed.
 */
export function unjustified(
  record: PortreeveRecord,
  sent: Sent | undefined,
  before: Promises,
  undecided: readonly Sent[],
): string | null {
  const { event } = record;
  if (record.seq !== before.seq + 1) return `record ${record.seq} follows ${before.seq}`;
  if (record.at < before.at) return `time went back from ${before.at} to ${record.at}`;
  if (sent === undefined) return `nobody sent request ${record.requestId}`;
  const ofGuests = isOfGuests(sent, before) ? wrongForGuests(event, sent, before) : undefined;
  if (ofGuests !== undefined) return ofGuests;
  const shares = isOfSharers(sent, before);
  switch (event.type) {
    case "mapping.granted":
      return (shares ? wrongSharedGrant : wrongGrant)(event.data, sent, before);
    case "lease.granted":
      return (shares ? wrongSharedJoin : wrongJoin)(event.data, sent, before);
    case "lease.changed":
      return (shares ? wrongSharedChange : wrongChange)(event.data, sent, before);
    case "lease.released":
      return wrongRelease(event.data, sent, before);
    case "lease.expired":
      return wrongExpiry(event.data, sent, before);
    case "leases.renewed":
      return wrongDeadlines(event.data, before, undecided);
    case "epoch.advanced": {
      const { byMs } = event.data;
      return byMs === before.toldAhead ? null : `epochs advanced by ${byMs} and not by ${before.toldAhead}`;
    }
    case "clock.noted":
      return record.at - before.at >= 600_000 ? null : "time was noted although the log knew it";
    case "mapping.changed":
      if (sent.type === "port.keep") return closesAsKept(event.data, before) ? null : "changed by port.keep";
      return sent.type === "port.edit" || sent.type === "port.add" ? null : `changed by ${sent.type}`;
    case "block.set":
      return sent.type === "port.block" ? null : `blocked by ${sent.type}`;
    case "block.lifted":
      return sent.type === "port.unblock" ? null : `unblocked by ${sent.type}`;
    default:
      return unjustifiedName(record, sent, before.names, undecided);
  }
}

export const keyOf = (sent: { by: string; nonce: string | null }): string =>
  sent.by === "pcp" ? `pcp:${sent.nonce}` : "natpmp";
/** What nobody wants to be open now is not opened by being kept. */
const closesAsKept = ({ id, enabled, ...rest }: EventData<"mapping.changed">, { mappings }: Promises): boolean =>
  enabled === false && Object.keys(rest).length === 0 && [...(mappings.get(id)?.claims.values() ?? [])].every(isOff);
const isOff = (claim: { readonly enabled: boolean }): boolean => !claim.enabled;
const isManual = ({ claims }: PromisedMapping): boolean => claims.has("manual");

function wrongGrant(granted: EventData<"mapping.granted">, sent: Sent, before: Promises): string | null {
  const { wan, protocol, externalPort, count, id } = granted;
  if (before.mappings.has(id)) return `mapping ${id} is there already`;
  for (let port = externalPort; port < externalPort + count; port += 1) {
    const holder = before.holder(wan, protocol, port);
    if (holder !== undefined) return `${protocol} ${port} got a second holder beside ${holder.id}`;
    if (isProtected(protocol, port, before)) return `${protocol} ${port} is protected`;
  }
  if (sent.type === "port.add") {
    const same =
      granted.internalAddress === sent.internalAddress &&
      granted.internalPort === sent.internalPort &&
      granted.protocol === sent.protocol &&
      granted.externalPort === sent.externalPort &&
      granted.count === sent.count &&
      granted.enabled === sent.enabled;
    return same ? null : "not the port that the operator added";
  }
  return sent.type === "map" ? wrongDeviceGrant(granted, sent, before) : `granted by ${sent.type}`;
}

function wrongDeviceGrant(granted: EventData<"mapping.granted">, sent: SentMap, before: Promises): string | null {
  const { wan, externalPort, claim } = granted;
  const protocol = transportName(sent.protocol);
  const asked =
    granted.internalAddress === sent.device &&
    granted.internalPort === sent.internalPort &&
    granted.protocol === protocol &&
    granted.count === 1 &&
    claim.key === keyOf(sent) &&
    claim.device === sent.device &&
    wan === before.preferredWan();
  if (!asked) return "granted is not what was asked";
  if (before.addressesOf(wan) === null) return "granted while the WAN has no address";
  if (before.blocks.has(blockKey({ ...sent, protocol }))) return "granted although an operator blocked it";
  if (before.tokens(sent.device, Math.max(sent.now, before.at)) < 1) return "granted beyond the device's event budget";
  const free = (port: number): boolean => isFreeFor(sent.device, { wan, protocol, port }, before, sent.now);
  if (!free(externalPort)) return `${protocol} ${externalPort} was not free for ${sent.device}`;
  const suggested = sent.suggestedPort;
  if (suggested !== 0 && externalPort !== suggested && (sent.preferFailure || free(suggested))) {
    return `port ${suggested} was suggested and free, and ${externalPort} was granted`;
  }
  if (externalPort < 1024 && externalPort !== suggested) return `nobody asked for the well-known port ${externalPort}`;
  const others = before.to(sent.device, protocol, sent.internalPort);
  if (others.length > 0) {
    const rule = before.settings?.lan[0]?.nonce;
    if (sent.by !== "pcp" || rule !== "same-host") return "a second mapping where the first should have been confirmed";
    if (others.some((other) => other.claims.has(keyOf(sent)))) return "a second mapping for the same nonce";
  }
  return beyondQuota(sent.device, before);
}

function beyondQuota(device: string, before: Promises): string | null {
  const limits = before.settings?.portControl.perDevice;
  const held = [...before.mappings.values()].filter(({ claims }) =>
    [...claims.values()].some((claim) => claim.device === device),
  );
  return limits !== undefined && held.length >= limits.mappings ? `${device} holds ${held.length} mappings` : null;
}

function wrongJoin(granted: EventData<"lease.granted">, sent: Sent, before: Promises): string | null {
  const mapping = before.mappings.get(granted.mappingId);
  if (mapping === undefined) return `joined ${granted.mappingId}, which is not there`;
  if (mapping.claims.has(granted.claim.key)) return `claim ${granted.claim.key} is there already`;
  if (sent.type === "port.add" || sent.type === "port.keep") {
    return granted.claim.key === "manual" ? null : "an operator's claim under a device's name";
  }
  if (sent.type !== "map") return `joined by ${sent.type}`;
  if (granted.claim.key !== keyOf(sent) || granted.claim.device !== sent.device) return "joined for somebody else";
  const existing = before.to(sent.device, transportName(sent.protocol), sent.internalPort);
  if (!existing.includes(mapping)) return "joined a mapping that goes elsewhere";
  if (!mapping.enabled) return "joined a mapping that an operator disabled";
  const nonces = existing.flatMap(({ claims }) => [...claims.values()].filter(({ source }) => source === "pcp"));
  if (sent.by === "pcp" && nonces.length > 0 && before.settings?.lan[0]?.nonce === "strict") {
    return "joined although another nonce holds it";
  }
  return null;
}

function wrongChange(changed: EventData<"lease.changed">, sent: Sent, before: Promises): string | null {
  const claim = before.mappings.get(changed.mappingId)?.claims.get(changed.claimKey);
  if (claim === undefined) return "changed a claim that is not there";
  if (sent.type === "port.edit" || sent.type === "port.keep") {
    return changed.claimKey === "manual" ? null : "an operator's edit changed a device's lease";
  }
  if (sent.type !== "map" || changed.claimKey !== keyOf(sent)) return `lease changed by ${sent.type}`;
  if (before.tokens(sent.device, Math.max(sent.now, before.at)) < 1) return "lengthened beyond the event budget";
  const longer = (changed.lifetime ?? 0) * 1000 > (claim.lifetimeMs ?? 0);
  return longer ? null : "an event for a renewal that lengthened nothing";
}

function wrongRelease(released: EventData<"lease.released">, sent: Sent, before: Promises): string | null {
  const mapping = before.mappings.get(released.mappingId);
  const claim = mapping?.claims.get(released.claimKey);
  if (mapping === undefined || claim === undefined) return "released a claim that is not there";
  switch (released.reason) {
    case "client": {
      if (isShared(mapping)) return wrongSharedRelease(mapping, claim, sent);
      if (sent.type !== "unmap") return `released for ${sent.type}`;
      const inScope =
        claim.key === keyOf(sent) &&
        claim.device === sent.device &&
        (sent.protocol === 0 || transportName(sent.protocol) === mapping.protocol) &&
        (sent.internalPort === 0 || sent.internalPort === mapping.internalPort);
      return inScope ? null : `${sent.device} released what is not its own`;
    }
    case "replaced":
      return sent.type === "map" && claim.source === "pcp" && mapping.internalAddress === sent.device
        ? null
        : "replaced without need";
    case "withdrawn":
      if (sent.type !== "withdraw") return `withdrawn by ${sent.type}`;
      return claim.told ? `${mapping.id} ${claim.key} was withdrawn after it had been acknowledged` : null;
    case "operator":
      return wrongOperatorRelease(mapping, claim.key, sent);
    default:
      return `unknown reason ${String(released.reason)}`;
  }
}

function wrongOperatorRelease(mapping: PromisedMapping, key: string, sent: Sent): string | null {
  switch (sent.type) {
    case "port.remove":
    case "port.block":
      return sent.id === mapping.id ? null : "removed another port than was named";
    case "port.edit":
      if (sent.id === mapping.id) return key === "manual" ? "an edit ended the operator's own claim" : null;
      return isManual(mapping) ? "an edit ended another of the operator's ports" : null;
    case "port.add": {
      const overlaps =
        mapping.protocol === sent.protocol &&
        mapping.externalPort < sent.externalPort + sent.count &&
        sent.externalPort < mapping.externalPort + mapping.count &&
        isInTheWay(mapping, sent.name ?? null, sent.count === 1 && sent.from.length === 0);
      return overlaps && !isManual(mapping) ? null : "an added port ended one that is not in its way";
    }
    default:
      return `ended for an operator by ${sent.type}`;
  }
}

/** A name is in the way of the same name, and of who takes the port and cannot share it. */
function isInTheWay(mapping: PromisedMapping, name: string | null, shareable: boolean): boolean {
  if (mapping.name === name) return true;
  return mapping.name === null ? !isShareable(mapping) : name === null && !shareable;
}

function wrongExpiry(expired: EventData<"lease.expired">, sent: Sent, before: Promises): string | null {
  const claim = before.mappings.get(expired.mappingId)?.claims.get(expired.claimKey);
  if (sent.type !== "leases.expire") return `expired by ${sent.type}`;
  if (claim === undefined) return "expired a claim that is not there";
  if (claim.promised === null) return "ended a claim that has no end";
  return claim.promised > sent.now ? `ended ${claim.promised - sent.now} ms before it was promised to` : null;
}

/** A renewal makes no record; one of the same commit shows in what an operator ended. */
function isOfUndecidedRenewal(
  { mappingId, claimKey, expiresAt }: { mappingId: string; claimKey: string; expiresAt: number },
  before: Promises,
  undecided: readonly Sent[],
): boolean {
  return undecided.some((sent) => {
    if (sent.type !== "map" || keyOf(sent) !== claimKey) return false;
    const asked = before.to(sent.device, transportName(sent.protocol), sent.internalPort);
    const limits = before.settings?.portControl.lifetime ?? { pcpMin: 0, max: 0 };
    const capped = Math.min(sent.lifetime, limits.max);
    const lifetime = sent.by === "pcp" ? Math.max(capped, limits.pcpMin) : capped;
    return asked.some(({ id }) => id === mappingId) && expiresAt === sent.now + lifetime * 1000;
  });
}

function wrongDeadlines(
  { deadlines }: EventData<"leases.renewed">,
  before: Promises,
  undecided: readonly Sent[],
): string | null {
  for (const { mappingId, claimKey, expiresAt } of deadlines) {
    const claim = before.mappings.get(mappingId)?.claims.get(claimKey);
    if (claim === undefined || claim.promised === null || claim.latest === null) {
      return `wrote a deadline of ${mappingId} ${claimKey}, which has none`;
    }
    if (isUndecidedShare({ claimKey, expiresAt }, claim, undecided, before)) continue;
    if (isUndecidedOfGuest(expiresAt, before.mappings.get(mappingId), undecided, before)) continue;
    if (isOfUndecidedRenewal({ mappingId, claimKey, expiresAt }, before, undecided)) continue;
    if (expiresAt < claim.promised)
      return `wrote a deadline of ${mappingId} ${claimKey} ${claim.promised - expiresAt} ms too early`;
    if (expiresAt > claim.latest)
      return `wrote a deadline of ${mappingId} ${claimKey} ${expiresAt - claim.latest} ms too late`;
  }
  return null;
}
