import type { EventData } from "../../src/events/index.ts";
import type { PeerFilter } from "../../src/events/mapping.ts";
import type { Answer } from "../../src/reducers/decide/command.ts";
import { isProtected, type PromisedMapping, type Promises } from "./promises.ts";
import type { Sent } from "./rules.ts";
import { isShared, SHARERS } from "./share-requests.ts";

/** A request of those that share ports, or an operator's for one of them. */
export function isOfSharers(sent: Sent, promises: Promises): boolean {
  if ("device" in sent && SHARERS.includes(sent.device)) return true;
  if (sent.type === "port.add") return isShared(sent);
  if (!sent.type.startsWith("port.") || !("id" in sent)) return false;
  const mapping = promises.mappings.get(sent.id);
  return mapping !== undefined && isShared(mapping);
}

/** Lower case already: the simulation asks so. */
const asksFor = (sent: Sent): readonly string[] | null => {
  if (sent.type === "map" || sent.type === "unmap") return sent.names ?? null;
  const named = sent.type === "upnpMap" || sent.type === "upnpUnmap" || sent.type === "port.add" ? sent.name : null;
  return named === undefined || named === null ? null : [named];
};

export const peersOf = (filters: readonly PeerFilter[]): string[] =>
  filters.map(({ prefix, port }) => (port === null ? prefix : `${prefix}:${port}`)).sort();

const keyOfSharer = (sent: Sent): string | null => {
  if (sent.type === "map" || sent.type === "unmap") return `pcp:${sent.nonce}`;
  if (sent.type === "upnpMap" || sent.type === "upnpUnmap") return `upnp:${sent.remoteHost ?? ""}`;
  return sent.type === "port.add" || sent.type === "port.keep" ? "manual" : null;
};

/** What a claim of this request has to let in at most: exactly whom it names; of nobody's naming everyone. */
function wrongPeers(claim: EventData<"lease.granted">["claim"], sent: Sent): string | null {
  const wanted = askedPeers(sent);
  const found = peersOf(claim.filters).join();
  return wanted === null || wanted === found ? null : `a claim lets in "${found}" and was asked to let in "${wanted}"`;
}

function askedPeers(sent: Sent): string | null {
  if (sent.type === "upnpMap") return sent.remoteHost === null ? "" : `${sent.remoteHost}/32`;
  if (sent.type !== "map") return sent.type === "port.add" ? "" : null;
  const asked = sent.filters.filter((each) => each !== "clear");
  return peersOf(asked).join();
}

/** Who lets everyone in by one TCP port can have names beside. */
export const isShareable = (mapping: PromisedMapping): boolean => {
  const claims = [...mapping.claims.values()].filter(({ enabled }) => enabled);
  const everyone = claims.length === 0 || claims.some(({ filters }) => filters.length === 0);
  return mapping.protocol === "tcp" && mapping.count === 1 && mapping.from.length === 0 && everyone;
};

/** Why a mapping should not have been made for those that share ports; null: it is right. */
export function wrongSharedGrant(granted: EventData<"mapping.granted">, sent: Sent, before: Promises): string | null {
  const { id, wan, protocol, externalPort, count, name, claim } = granted;
  if (before.mappings.has(id)) return `mapping ${id} is there already`;
  for (let port = externalPort; port < externalPort + count; port += 1) {
    if (isProtected(protocol, port, before)) return `${protocol} ${port} is protected`;
    const other = before.having(wan, protocol, port, name);
    if (other !== undefined) return `${protocol} ${port} ${name ?? ""} was given to two: ${other.id} has it`;
    const named = before.named(wan, protocol, port);
    const shareable = protocol === "tcp" && count === 1 && granted.from.length === 0 && claim.filters.length === 0;
    if (name === null && !shareable && named.length > 0)
      return `${protocol} ${port} is shared by ${named[0]?.id}, and was given to who lets in only some`;
    const whole = before.holder(wan, protocol, port);
    if (name !== null && whole !== undefined && !isShareable(whole))
      return `${name} was given on ${port}, where ${whole.id} lets in only some`;
  }
  if (claim.key !== keyOfSharer(sent)) return `granted to ${claim.key}`;
  const names = asksFor(sent);
  if (name === null ? names !== null : names?.includes(name) !== true)
    return `granted ${name}, which was not asked for`;
  const peers = wrongPeers(claim, sent);
  if (peers !== null) return peers;
  return sent.type === "port.add" ? wrongOfOperator(granted, sent) : wrongOfDevice(granted, sent, before);
}

function wrongOfOperator(granted: EventData<"mapping.granted">, sent: Extract<Sent, { type: "port.add" }>) {
  const same =
    granted.internalAddress === sent.internalAddress &&
    granted.internalPort === sent.internalPort &&
    granted.externalPort === sent.externalPort &&
    granted.from.join() === sent.from.join();
  return same ? null : "not the port that the operator added";
}

function wrongOfDevice(granted: EventData<"mapping.granted">, sent: Sent, before: Promises): string | null {
  if (sent.type !== "map" && sent.type !== "upnpMap") return `granted by ${sent.type}`;
  const { wan, protocol, externalPort, internalAddress, internalPort, count, name } = granted;
  if (internalAddress !== sent.device || internalPort !== sent.internalPort) return "granted is not what was asked";
  if (before.addressesOf(wan) === null) return "granted while the WAN has no address";
  const size = sent.type === "map" ? (sent.portSet?.size ?? 1) : 1;
  if (count > size) return `${count} ports were granted of ${size} asked for`;
  if (sent.type === "map" && sent.portSet?.parity === true && count > 1 && (externalPort - internalPort) % 2 !== 0)
    return "a set of ports without the parity that was asked for";
  const kept = before.quarantine.get(`${wan}|${protocol}|${externalPort}${name === null ? "" : `|${name}`}`);
  if (kept !== undefined && kept.until > sent.now && kept.device !== sent.device)
    return `${protocol} ${externalPort} was ${kept.device}'s a moment ago`;
  if (name === null) return null;
  // RFC 6125 §6.4.3: a wildcard stands for one label; who has it has those names.
  const parent = name.startsWith("*.") ? null : `*${name.slice(name.indexOf("."))}`;
  const wild = parent === null ? undefined : before.having(wan, protocol, externalPort, parent);
  if (wild !== undefined && wild.internalAddress !== sent.device)
    return `${name} is of ${wild.internalAddress}'s ${parent}`;
  const asked = sent.type === "map" ? sent.suggestedPort : sent.externalPort;
  return asked === externalPort ? null : "a name was given on another port than was asked for";
}

export function wrongSharedJoin(granted: EventData<"lease.granted">, sent: Sent, before: Promises): string | null {
  const mapping = before.mappings.get(granted.mappingId);
  if (mapping === undefined) return `joined ${granted.mappingId}, which is not there`;
  const { claim } = granted;
  if (mapping.claims.has(claim.key)) return `claim ${claim.key} is there already`;
  if (claim.key !== keyOfSharer(sent)) return `joined as ${claim.key} by ${sent.type}`;
  if (sent.type === "port.add") return null;
  if (sent.type === "port.keep") return letsInAsBefore(claim, mapping) ? null : "kept, and lets in others than before";
  if (sent.type !== "map" && sent.type !== "upnpMap") return `joined by ${sent.type}`;
  if (!mapping.enabled) return "joined a mapping that an operator disabled";
  if (mapping.internalAddress !== sent.device) return "joined a mapping that goes elsewhere";
  const names = asksFor(sent);
  if (mapping.name === null ? names !== null : names?.includes(mapping.name) !== true) return "joined another name";
  return wrongPeers(claim, sent);
}

function letsInAsBefore(
  { filters }: { readonly filters: readonly PeerFilter[] },
  { claims }: PromisedMapping,
): boolean {
  const wanting = [...claims.values()].filter(({ enabled }) => enabled);
  const everyone = wanting.some((each) => each.filters.length === 0);
  const before = everyone ? [] : [...new Set(wanting.flatMap((each) => peersOf(each.filters)))];
  return peersOf(filters).join() === before.sort().join();
}

export function wrongSharedRelease(
  mapping: PromisedMapping,
  claim: { readonly key: string; readonly device: string | null },
  sent: Sent,
): string | null {
  switch (sent.type) {
    case "map":
    case "upnpMap":
      // What the same device had there, and gives up for another port of its own.
      return mapping.internalAddress === sent.device && claim.device === sent.device ? null : "took another's";
    case "unmap": {
      const names = asksFor(sent);
      const all = names === null && sent.internalPort === 0;
      const meant = all || (mapping.name === null ? names === null : names?.includes(mapping.name) === true);
      const own = claim.key === keyOfSharer(sent) && claim.device === sent.device;
      return own && meant
        ? null
        : `${mapping.name ?? "the whole port"} closed with a delete of ${names?.join() ?? "it"}`;
    }
    case "upnpUnmap": {
      const meant = mapping.externalPort === sent.externalPort && mapping.name === (sent.name ?? null);
      return meant && claim.device === sent.device && claim.key === keyOfSharer(sent) ? null : "deleted another entry";
    }
    case "upnpUnmapRange":
      return mapping.name === null && claim.device === sent.device && claim.key.startsWith("upnp:")
        ? null
        : "deleted what is not its own UPnP entry";
    default:
      return `released for ${sent.type}`;
  }
}

/** A lease that was asked for anew, or whose filters were: never wider than was asked. */
export function wrongSharedChange(changed: EventData<"lease.changed">, sent: Sent, before: Promises): string | null {
  const claim = before.mappings.get(changed.mappingId)?.claims.get(changed.claimKey);
  if (claim === undefined) return "changed a claim that is not there";
  if (changed.claimKey !== keyOfSharer(sent) && sent.type !== "port.edit") return `lease changed by ${sent.type}`;
  if (changed.filters === undefined || sent.type !== "map") return null;
  const wanted = new Set(peersOf(claim.filters));
  for (const each of sent.filters) {
    if (each === "clear") wanted.clear();
    else for (const text of peersOf([each])) wanted.add(text);
  }
  const found = peersOf(changed.filters).join();
  return found === [...wanted].sort().join()
    ? null
    : `a claim lets in "${found}" and was asked for ${[...wanted].join()}`;
}

type Mapped = Extract<Answer, { kind: "mapped" }>;

/** What was asked for itself, each name of it; what a set refreshes beside is not among it. */
export const answeredOf = ({ mappingId, claimKey, more = [] }: Mapped): { mappingId: string; claimKey: string }[] =>
  [{ mappingId, claimKey }, ...more].flatMap((each) =>
    each.claimKey === null ? [] : [{ mappingId: each.mappingId, claimKey: each.claimKey }],
  );

/** A success: what was answered is there, and lives on from now. */
export function wrongSharedAnswer(sent: Sent, answer: Mapped, promises: Promises): string | null {
  if (!("device" in sent)) return `${sent.type} was answered with a mapping`;
  const lifetime = sharedLifetime(sent, promises) * 1000;
  for (const { mappingId, claimKey } of answeredOf(answer)) {
    const mapping = promises.mappings.get(mappingId);
    const claim = mapping?.claims.get(claimKey);
    if (mapping === undefined || claim === undefined)
      return `answered with ${mappingId} ${claimKey}, which is not there`;
    if (mapping.internalAddress !== sent.device) return `answered with ${mappingId}, which goes elsewhere`;
    if (!mapping.enabled) return `answered with ${mappingId}, which is disabled`;
    if (claimKey !== keyOfSharer(sent)) return `answered for claim ${claimKey}`;
    claim.promised = sent.now + answer.lifetime * 1000;
    claim.latest = sent.now + Math.max(lifetime, claim.lifetimeMs ?? 0);
  }
  const { set } = answer;
  const count = promises.mappings.get(answer.mappingId)?.count;
  // Of a set that is static, as much is told as was asked about.
  if (set !== undefined && answer.claimKey !== null && set.count !== count)
    return `a set of ${set.count} was answered, and the mapping has ${count ?? "none"}`;
  for (const { mappingId, claimKey } of answer.touched ?? []) {
    const claim = promises.mappings.get(mappingId)?.claims.get(claimKey);
    if (claim === undefined) return `a set refreshed ${mappingId} ${claimKey}, which is not there`;
    claim.promised = claim.latest = sent.now + Math.min(lifetime, claim.lifetimeMs ?? lifetime);
  }
  const names = asksFor(sent);
  const had = [answer, ...(answer.more ?? [])].map(({ mappingId }) => promises.mappings.get(mappingId)?.name);
  const missing = names?.find((name) => !had.includes(name));
  return missing === undefined ? null : `${missing} was asked for, and is not among what was answered`;
}

/** Whether a claim should be gone after a success of this request. */
export function isGivenBack(sent: Sent, mapping: PromisedMapping, key: string): boolean {
  if (!("device" in sent) || mapping.internalAddress !== sent.device || key !== keyOfSharer(sent)) return false;
  const names = asksFor(sent);
  const isMeant = mapping.name === null ? names === null : names?.includes(mapping.name) === true;
  if (sent.type === "upnpUnmap") {
    return isMeant && mapping.externalPort === sent.externalPort && mapping.protocol === sent.protocol;
  }
  if (sent.type !== "unmap" || mapping.protocol !== (sent.protocol === 17 ? "udp" : "tcp")) return false;
  return sent.internalPort === 0 || (isMeant && sent.internalPort === mapping.internalPort);
}

/** Seconds that a request of theirs asks for, as far as they are granted. */
export function sharedLifetime(sent: Sent, { settings }: Promises): number {
  const limits = settings?.portControl.lifetime ?? { pcpMin: 0, max: 0 };
  if (sent.type === "map") return Math.max(Math.min(sent.lifetime, limits.max), limits.pcpMin);
  if (sent.type !== "upnpMap") return 0;
  const longest = sent.name === undefined ? limits.max : 3600;
  return sent.lifetime === 0 ? longest : Math.min(sent.lifetime, longest);
}

/** A renewal makes no record; one of the same commit shows in what an operator ended. */
export const isUndecidedShare = (
  { claimKey, expiresAt }: { readonly claimKey: string; readonly expiresAt: number },
  { lifetimeMs }: { readonly lifetimeMs: number | null },
  undecided: readonly Sent[],
  before: Promises,
): boolean =>
  undecided.some((sent) => {
    if (!isOfSharers(sent, before) || keyOfSharer(sent) !== claimKey) return false;
    const life = [sharedLifetime(sent, before) * 1000, lifetimeMs ?? 0];
    return life.some((each) => expiresAt === sent.now + each);
  });
