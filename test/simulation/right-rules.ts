import type { EventData, PortreeveEvent } from "../../src/events/index.ts";
import type { MapRequest } from "../../src/reducers/decide/command.ts";
import { blockKey, type PromisedClaim, type PromisedMapping, type Promises } from "./promises.ts";
import { wrongRestoring } from "./given-back.ts";
import { type Entitled, isGuest, type Rights, speaksFor } from "./rights.ts";
import { isFreeFor, transportName } from "./places.ts";
import type { Sent } from "./rules.ts";
import { peersOf } from "./share-rules.ts";

const UPNP = "upnp:pinhole:";
/** Changes of what guests may do and have. */
const OPERATORS = /^(device|devices|subnet|change|confirmation|wireguard)\./;

/** A request of a guest, or an operator's about guests. */
export function isOfGuests(sent: Sent, promises: Promises): boolean {
  if (promises.rights === null) return false;
  if (OPERATORS.test(sent.type) || "caller" in sent) return true;
  if ("device" in sent && isGuest(sent.device)) return true;
  if (!sent.type.startsWith("port.") || !("id" in sent)) return false;
  const mapping = promises.mappings.get(sent.id);
  return mapping !== undefined && isGuest(mapping.internalAddress);
}

/** What a guest asks to have let in. */
export interface Asked {
  readonly target: string;
  /** The address of IPv4 that is known of the target's host. */
  readonly host: string | null;
  readonly asker: string;
  readonly protocol: "tcp" | "udp";
  readonly port: number;
  /** Of UPnP any number. */
  readonly key: string;
  /** In the order of the request. */
  readonly filters: MapRequest["filters"];
  readonly seconds: number;
}

export function askedBy(sent: Sent, { settings }: Promises): Asked | null {
  const max = settings?.portControl.lifetime.max ?? 0;
  if (sent.type === "map") {
    const { device, host = null, thirdParty = device, internalPort: port, filters, nonce } = sent;
    const protocol = transportName(sent.protocol) as "tcp" | "udp";
    const seconds = Math.max(Math.min(sent.lifetime, max), settings?.portControl.lifetime.pcpMin ?? 0);
    return { target: thirdParty, host, asker: device, protocol, port, key: `pcp:${nonce}`, filters, seconds };
  }
  if (sent.type !== "upnpPinhole") return null;
  const { device, caller, host, internalPort: port, remoteHost, remotePort, lifetime } = sent;
  const everyone = remoteHost === null && remotePort === null;
  const peer = { prefix: remoteHost === null ? "::/0" : `${remoteHost}/128`, port: remotePort };
  // An address that is not known to be the caller's is nobody's.
  const known = host === caller ? host : null;
  const common = { target: device, host: known, asker: device, protocol: transportName(sent.protocol) as "tcp" };
  return { ...common, port, key: UPNP, filters: everyone ? [] : [peer], seconds: Math.min(lifetime, max) };
}

const isKeyOf = (key: string, asked: Asked): boolean => (asked.key === UPNP ? key.startsWith(UPNP) : key === asked.key);

/** Why nothing may be let in there for who asks for it; null: it may. */
export function forbidden(asked: Asked, promises: Promises): string | null {
  const { target, host, asker, protocol, port, key } = asked;
  const rights = promises.rights as Rights;
  if (asker !== target && !rights.maySpeak(asker, target)) return `${asker} may not ask in the place of ${target}`;
  const why = target.includes(":") ? closed(asked, promises) : withoutAddress(promises);
  if (why !== null) return why;
  if (key === UPNP && host === null) return `${target} is not known to be who asks`;
  if (!rights.mayOpen(target, host, `${protocol} ${port}`)) return `${target} may not open ${protocol} ${port}`;
  return promises.blocks.has(blockKey({ device: target, protocol, internalPort: port })) ? "it is blocked" : null;
}

const withoutAddress = (promises: Promises): string | null =>
  promises.addressesOf(promises.preferredWan()) === null ? "the WAN has no address" : null;

function closed({ target, host, protocol, port, key }: Asked, { rights, links, settings }: Promises): string | null {
  const others = protocol === "udp" ? [1900, 5350, 5351] : [];
  const kept = [...(settings?.portControl.protectedPorts ?? []), ...others];
  if (kept.includes(port) || (key === UPNP && port < 1024)) return `${port} is protected`;
  if (target.startsWith("2001:db8:5:")) return rights?.at(target) === undefined ? `nobody has ${target}` : null;
  const networks = links.get("lan0")?.addresses.flatMap((cidr) => (cidr.includes("::") ? cidr.split("::") : [])) ?? [];
  if (!networks.includes(target.split("::")[0] as string)) return `${target} is in no network of the LAN`;
  const bound = [...(rights?.devices.values() ?? [])].some(({ subnet, ports }) => subnet === null && ports !== "auto");
  return host === null && bound ? "nobody knows which host it is, and not every one may" : null;
}

type Event = PortreeveEvent;

/** Why an event should not have been made for this request of a guest's, or about guests; undefined: others judge it. */
export function wrongForGuests({ type, data }: Event, sent: Sent, before: Promises): string | null | undefined {
  switch (type) {
    case "mapping.granted":
      return wrongGrant(data, sent, before);
    case "mapping.restored":
      return wrongRestoring(data, sent, before);
    case "mapping.changed":
      return isTakenBack(sent) || sent.type === "device.edit" || (sent.type === "port.edit" && sent.id === data.id)
        ? null
        : `changed by ${sent.type}`;
    case "lease.granted":
      return wrongJoin(data, sent, before);
    case "lease.changed":
      return wrongChange(data, sent, before);
    case "lease.released":
      return data.reason === "withdrawn" ? undefined : wrongRelease(data, sent, before);
    case "block.set":
      return isTakenBack(sent) || sent.type === "port.block" || isBlockMoved(data, sent, before)
        ? null
        : `blocked by ${sent.type}`;
    case "block.lifted": {
      if (isBlockMoved(data, sent, before)) return null;
      const lifts = ["port.unblock", "device.remove", "devices.expire", "subnet.remove"].includes(sent.type);
      return isTakenBack(sent) || lifts ? null : `unblocked by ${sent.type}`;
    }
    case "device.removed": {
      const device = before.rights?.devices.get(data.id);
      return isTakenBack(sent) || isEndedBy(device, sent) ? null : `${data.id} was removed by ${sent.type}`;
    }
    default:
      return /^(device|subnet|allowance|confirmation|wireguard)\./.test(type) ? null : undefined;
  }
}

/** With the address of its device: there is one of the same port. */
const isBlockMoved = (
  { protocol, internalPort }: EventData<"block.set">,
  { type }: Sent,
  { blocks }: Promises,
): boolean =>
  (type === "device.edit" || type === "subnet.edit") &&
  [...blocks].some((key) => key.endsWith(blockKey({ device: "", protocol, internalPort })));

const isTakenBack = ({ type }: Sent): boolean => type === "change.revert" || type === "confirmation.lapse";

function isEndedBy(device: Entitled | undefined, sent: Sent): boolean {
  if (device === undefined) return false;
  if (sent.type === "device.remove") return sent.id === device.id;
  if (sent.type === "subnet.remove") return sent.id === device.subnet;
  return sent.type === "devices.expire" && device.expiresAt !== null && device.expiresAt <= sent.now;
}

/** Exactly whom it names; of nobody's naming everyone. */
export function wantedPeers(before: PromisedClaim["filters"], filters: MapRequest["filters"]): string {
  const wanted = new Set(peersOf(before));
  for (const each of filters) {
    if (each === "clear") wanted.clear();
    else for (const text of peersOf([each])) wanted.add(text);
  }
  return [...wanted].sort().join();
}

function wrongPeers(filters: PromisedClaim["filters"], wanted: string): string | null {
  const found = peersOf(filters).join();
  return found === wanted ? null : `a claim lets in "${found}" and was asked to let in "${wanted}"`;
}

function wrongGrant(granted: EventData<"mapping.granted">, sent: Sent, before: Promises): string | null {
  const asked = askedBy(sent, before);
  if (asked === null) return `granted by ${sent.type}`;
  const why = forbidden(asked, before);
  if (why !== null) return `granted although ${why}`;
  const { id, wan, protocol, externalPort, internalAddress, internalPort, count, claim } = granted;
  if (before.mappings.has(id)) return `mapping ${id} is there already`;
  const same = internalAddress === asked.target && internalPort === asked.port && protocol === asked.protocol;
  const own = isKeyOf(claim.key, asked) && claim.device === asked.asker;
  if (!same || !own || count !== 1) return "granted is not what was asked";
  const peers = wrongPeers(claim.filters, wantedPeers([], asked.filters));
  if (peers !== null) return peers;
  if (!internalAddress.includes(":")) {
    const free = isFreeFor(asked.target, { wan, protocol, port: externalPort }, before, sent.now);
    return free ? null : `${protocol} ${externalPort} was not free for ${asked.target}`;
  }
  if (externalPort !== internalPort || wan !== internalAddress) return "a pinhole is not at its own address and port";
  const other = mappingTo(asked, before);
  return other === undefined ? null : `${id} is a second pinhole beside ${other.id}`;
}

export const mappingTo = ({ target, protocol, port }: Asked, { mappings }: Promises): PromisedMapping | undefined =>
  [...mappings.values()].find(
    (each) => each.internalAddress === target && each.protocol === protocol && each.internalPort === port,
  );

function wrongJoin(granted: EventData<"lease.granted">, sent: Sent, before: Promises): string | null {
  const mapping = before.mappings.get(granted.mappingId);
  const { claim } = granted;
  if (mapping === undefined || mapping.claims.has(claim.key)) return `cannot join ${granted.mappingId} as ${claim.key}`;
  if (sent.type === "port.keep") return claim.key === "manual" ? null : "an operator's claim under a device's name";
  const asked = askedBy(sent, before);
  if (asked === null) return `joined by ${sent.type}`;
  const why = forbidden(asked, before);
  if (why !== null) return `joined although ${why}`;
  if (mapping.internalAddress !== asked.target || mapping.internalPort !== asked.port)
    return "joined another's mapping";
  if (!mapping.enabled) return "joined a mapping that an operator disabled";
  if (!isKeyOf(claim.key, asked) || claim.device !== asked.asker) return "joined for somebody else";
  return wrongPeers(claim.filters, wantedPeers([], asked.filters));
}

function wrongChange(changed: EventData<"lease.changed">, sent: Sent, before: Promises): string | null {
  const mapping = before.mappings.get(changed.mappingId);
  const claim = mapping?.claims.get(changed.claimKey);
  if (mapping === undefined || claim === undefined) return "changed a claim that is not there";
  if (isTakenBack(sent) || sent.type === "port.keep") return claim.key === "manual" ? null : "changed a device's lease";
  const asked = sent.type === "upnpPinholeUpdate" ? updatedOf(sent, mapping, before) : askedBy(sent, before);
  if (asked === null || !isKeyOf(claim.key, asked)) return `lease changed by ${sent.type}`;
  const why = forbidden(asked, before);
  if (why !== null) return `lengthened although ${why}`;
  if (mapping.internalAddress !== asked.target) return "changed the lease of another's mapping";
  const wanted = asked.key === UPNP ? peersOf(claim.filters).join() : wantedPeers(claim.filters, asked.filters);
  return wrongPeers(changed.filters ?? claim.filters, wanted);
}

/** UpdatePinhole is a renewal of what is there. */
export function updatedOf(
  { caller, uniqueId, lifetime }: Extract<Sent, { type: "upnpPinholeUpdate" }>,
  { internalAddress: target, protocol, internalPort: port, host }: PromisedMapping,
  { settings }: Promises,
): Asked | null {
  if (host !== caller) return null;
  const seconds = Math.min(lifetime, settings?.portControl.lifetime.max ?? 0);
  return { target, host, asker: target, protocol, port, key: `${UPNP}${uniqueId}`, filters: [], seconds };
}

function wrongRelease(released: EventData<"lease.released">, sent: Sent, before: Promises): string | null {
  const mapping = before.mappings.get(released.mappingId);
  const claim = mapping?.claims.get(released.claimKey);
  if (mapping === undefined || claim === undefined) return "released a claim that is not there";
  switch (released.reason) {
    case "client":
      return isGivenUp(sent, mapping, claim, before) ? null : `${sent.type} released what is not its own`;
    case "replaced":
      return sent.type === "map" && claim.source === "pcp" ? null : "replaced without need";
    default:
      return isEnded(mapping, claim, sent, before) ? null : `${sent.type} ended ${mapping.id} ${claim.key} needlessly`;
  }
}

/** Whether a request gives back a claim. */
export function isGivenUp(sent: Sent, mapping: PromisedMapping, claim: PromisedClaim, { rights }: Promises): boolean {
  if (sent.type === "upnpPinholeDelete") return mapping.host === sent.caller && claim.key === `${UPNP}${sent.uniqueId}`;
  if (sent.type !== "unmap") return false;
  const { device, thirdParty = device, protocol, internalPort, nonce } = sent;
  if (thirdParty !== device && rights?.maySpeak(device, thirdParty) !== true) return false;
  const isThere =
    mapping.internalAddress === thirdParty &&
    (protocol === 0 || transportName(protocol) === mapping.protocol) &&
    (internalPort === 0 || internalPort === mapping.internalPort);
  return isThere && claim.key === `pcp:${nonce}`;
}

/** Whether an operator's change ends a claim: with its port, its host, its right or that of who asked for it. */
function isEnded(mapping: PromisedMapping, claim: PromisedClaim, sent: Sent, before: Promises): boolean {
  const rights = before.rights as Rights;
  const host = rights.hostOf(mapping);
  const speakers = [...rights.devices.values()].filter(({ address }) => address === claim.device);
  switch (sent.type) {
    case "port.remove":
    case "port.block":
      return sent.id === mapping.id;
    case "device.remove":
    case "devices.expire":
    case "subnet.remove":
      return [host, ...speakers].some((device) => isEndedBy(device, sent));
    case "subnet.edit":
      return mapping.internalAddress.includes(":") && host?.subnet === sent.id;
    case "device.allow":
      return host?.id === sent.id && mapping.internalPort === sent.internalPort && mapping.protocol === sent.protocol;
    case "device.edit": {
      const device = rights.devices.get(sent.id) as Entitled;
      const { address = device.address, ports = device.ports, mapsFor = device.mapsFor } = sent;
      const loses = address !== device.address || (ports === "off" && device.ports !== "off");
      const speaks = claim.device === device.address && mapping.internalAddress !== device.address;
      const silenced = speaks && (loses || !speaksFor({ ports, mapsFor }, mapping.internalAddress));
      return (host?.id === device.id && loses) || silenced;
    }
    default:
      return isTakenBack(sent);
  }
}
