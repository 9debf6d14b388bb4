import type { EventData, PortreeveRecord } from "../../src/events/index.ts";
import type { PeerFilter } from "../../src/events/mapping.ts";
import { blockKey, type PromisedClaim, type PromisedMapping } from "./promises.ts";

/** Hosts of the LAN that have IPv6, and whatever is on our subnets: nobody else's rights are played with. */
const GUEST = /^192\.168\.77\.3\d$|^10\.59\.|:/;
export const isGuest = (address: string): boolean => GUEST.test(address);
/** Of a subnet, as all of the simulation's are written: six groups, then an address of IPv4. */
const ON_SUBNET = /^2001:db8:5:/;

export interface Entitled {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  /** Null: it is on the LAN. */
  readonly subnet: string | null;
  readonly ports: string;
  readonly mapsFor: readonly string[];
  readonly expiresAt: number | null;
  /** Numbers of the records since which it has its address, and its right to open ports. */
  readonly since: number;
  readonly ruledSince: number;
}

/** How a claim was when it ended, and by which record. */
export interface Ended {
  readonly mapping: PromisedMapping;
  readonly claim: PromisedClaim;
  readonly seq: number;
  readonly reason: string;
}

/** An operator's change of what guests may do, or a device's that was let have something. */
export interface Change {
  readonly seq: number;
  readonly requestId: string;
}

/**
 * Who may open what to whom, by the durable facts: folded by the oracle itself, with plain maps and walks over all of
 * them. It shares no code with the reducers, deciders and selectors that it judges.
 */
export class Rights {
  readonly devices = new Map<string, Entitled>();
  /** Id → the first six groups of its IPv6 addresses, "2001:db8:5:1:59:1"; null: it has none. */
  readonly subnets = new Map<string, { readonly prefix: string; readonly ipv6: string | null }>();
  /** "device protocol port": operators said yes to it. */
  readonly allowed = new Set<string>();
  /** Confirmation → until when it is awaited. */
  readonly trials = new Map<string, number>();
  readonly changes: Change[] = [];
  /** Those of an operator that ended what guests had let in. */
  readonly endings: Change[] = [];
  /** As `Promises.blocks`: number of the record that set it. */
  readonly blockedSince = new Map<string, number>();
  /** "mapping claim" → how it was at each of its ends, the last one last. */
  readonly ended = new Map<string, Ended[]>();
  keyed = false;

  /** Somebody is on a subnet, so that there is a WireGuard interface. */
  get tunnelled(): boolean {
    return this.keyed && [...this.devices.values()].some(({ subnet }) => subnet !== null);
  }

  /** "10.59.7.2" in "2001:db8:5:1:59:1::/96" is "2001:db8:5:1:59:1:a3b:702". */
  ipv6Of({ subnet, address }: Entitled): string | null {
    const ipv6 = subnet === null ? null : (this.subnets.get(subnet)?.ipv6 ?? null);
    const [a = 0, b = 0, c = 0, d = 0] = address.split(".").map(Number);
    return ipv6 === null ? null : `${ipv6}:${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  }

  at(address: string): Entitled | undefined {
    return [...this.devices.values()].find((device) => device.address === address || this.ipv6Of(device) === address);
  }

  /** Whose a mapping is: of a pinhole on the LAN the host that was known to have the address. */
  hostOf({ internalAddress, host }: Pick<PromisedMapping, "internalAddress" | "host">): Entitled | undefined {
    const onLan = internalAddress.includes(":") && !ON_SUBNET.test(internalAddress);
    return this.at(onLan ? (host ?? "") : internalAddress);
  }

  /** Whether a host may open a port that it asks for now. */
  mayOpen(address: string, host: string | null, place: string): boolean {
    const device = this.hostOf({ internalAddress: address, host });
    if (device === undefined) return !address.startsWith("10.59.") && !ON_SUBNET.test(address);
    return device.ports === "auto" || (device.ports === "ask" && this.allowed.has(`${device.id} ${place}`));
  }

  /** Whether somebody may ask in the place of a host. */
  maySpeak(asker: string, address: string): boolean {
    return [...this.devices.values()].some((device) => device.address === asker && speaksFor(device, address));
  }

  /** Why a claim should be there no more; null: it may stand. */
  overdue(mapping: PromisedMapping, claim: PromisedClaim): string | null {
    const { internalAddress: address, protocol, internalPort } = mapping;
    if (ON_SUBNET.test(address) && this.at(address) === undefined) return `nobody has ${address} now`;
    if (claim.device === null || !isGuest(address)) return null;
    const host = this.hostOf(mapping);
    if (address.startsWith("10.59.") && host === undefined) return `nobody has ${address} now`;
    if (!address.includes(":") && claim.device !== address && !this.maySpeak(claim.device, address)) {
      return `${claim.device} may not ask in the place of ${address} any more`;
    }
    // What was there before its host was registered, or before it had to ask, stays until its end.
    if (host?.ports === "off" && claim.since > host.since) return `${host.name} may open no ports any more`;
    const said = this.allowed.has(`${host?.id} ${protocol} ${internalPort}`);
    if (host?.ports === "ask" && !said && claim.since > host.ruledSince) return `${host.name} was not let have it`;
    return null;
  }

  /** `mappings`: as they are before the record. */
  fold(record: PortreeveRecord, mappings: ReadonlyMap<string, PromisedMapping>): void {
    const { event, seq } = record;
    this.#remember(record, mappings);
    switch (event.type) {
      case "lease.released":
      case "lease.expired": {
        const { mappingId, claimKey } = event.data;
        const mapping = mappings.get(mappingId);
        const claim = mapping?.claims.get(claimKey);
        if (mapping === undefined || claim === undefined) return;
        const before = this.ended.get(`${mappingId} ${claimKey}`) ?? [];
        const reason = event.type === "lease.released" ? event.data.reason : "expired";
        const ended = { mapping: { ...mapping }, claim: { ...claim }, seq, reason };
        this.ended.set(`${mappingId} ${claimKey}`, [...before, ended]);
        return;
      }
      case "block.set":
        this.blockedSince.set(blockKey(event.data), seq);
        return;
      case "block.lifted":
        this.blockedSince.delete(blockKey(event.data));
        return;
      case "wireguard.keyed":
        this.keyed = true;
        return;
      case "subnet.added":
        this.subnets.set(event.data.id, { prefix: event.data.prefix, ipv6: groupsOf(event.data.ipv6Prefix) });
        return;
      case "subnet.changed": {
        const { id, ipv6Prefix } = event.data;
        const before = this.subnets.get(id);
        if (before !== undefined && ipv6Prefix !== undefined)
          this.subnets.set(id, { ...before, ipv6: groupsOf(ipv6Prefix) });
        return;
      }
      case "subnet.removed":
        this.subnets.delete(event.data.id);
        return;
      case "device.added":
        return this.#added(event.data, seq);
      case "device.changed": {
        const before = this.devices.get(event.data.id) as Entitled;
        const moves = event.data.address !== undefined;
        // At another address it finds what was let in there before.
        const since = moves ? seq : before.since;
        const ruledSince = moves || event.data.ports !== undefined ? seq : before.ruledSince;
        this.devices.set(before.id, { ...before, ...event.data, since, ruledSince } as Entitled);
        return;
      }
      case "device.removed":
        this.devices.delete(event.data.id);
        return;
      case "allowance.granted":
      case "allowance.withdrawn": {
        const { device, protocol, internalPort } = event.data;
        this.allowed[event.type === "allowance.granted" ? "add" : "delete"](`${device} ${protocol} ${internalPort}`);
        return;
      }
      case "confirmation.awaited":
        this.trials.set(event.data.id, event.data.until);
        return;
      case "confirmation.given":
      case "confirmation.lapsed":
        this.trials.delete(event.data.id);
        return;
      default:
    }
  }

  /** What comes back finds what was let in there meanwhile. */
  #added(data: EventData<"device.added">, seq: number): void {
    const { id, name, address, subnet, ports, mapsFor, expiresAt } = data;
    this.devices.set(id, { id, name, address, subnet, ports, mapsFor, expiresAt, since: seq, ruledSince: seq });
  }

  #remember({ event, seq, source, requestId }: PortreeveRecord, mappings: ReadonlyMap<string, PromisedMapping>): void {
    if (!isOfGuests(event, mappings)) return;
    if (event.type === "lease.released" && event.data.reason === "operator" && source.startsWith("api:")) {
      if (this.endings.at(-1)?.requestId !== requestId) this.endings.push({ seq, requestId });
      if (this.endings.length > 5) this.endings.shift();
    }
    if (this.changes.at(-1)?.requestId === requestId) return;
    if (source.startsWith("api:") || event.type === "mapping.granted") this.changes.push({ seq, requestId });
    if (this.changes.length > 8) this.changes.shift();
  }
}

function isOfGuests({ type, data }: PortreeveRecord["event"], mappings: ReadonlyMap<string, PromisedMapping>): boolean {
  if (/^(device|subnet|allowance)\./.test(type)) return true;
  if (type === "block.set" || type === "block.lifted") return isGuest(data.device);
  if (type === "mapping.granted" || type === "mapping.restored") return isGuest(data.internalAddress);
  const id =
    type === "mapping.changed" ? data.id : type.startsWith("lease.") && "mappingId" in data ? data.mappingId : "";
  const mapping = mappings.get(id);
  return mapping !== undefined && isGuest(mapping.internalAddress);
}

/** By its own right, and by that of asking for others. */
export const speaksFor = ({ ports, mapsFor }: Pick<Entitled, "ports" | "mapsFor">, address: string): boolean =>
  ports !== "off" && mapsFor.some((network) => isWithin(network, address));

function isWithin(network: string, address: string): boolean {
  const [base = "", length = "32"] = network.split("/");
  const first = (text: string): number => Math.floor(numberOf(text) / 2 ** (32 - Number(length)));
  return first(base) === first(address);
}

const numberOf = (address: string): number => address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);

const groupsOf = (prefix: string | null): string | null => prefix?.slice(0, prefix.indexOf("::")) ?? null;

/** Of the few peers that guests name: one network is within another, and all of them in everybody's. */
export function isWithinPeer(peer: PeerFilter, other: PeerFilter): boolean {
  const wide = ["::/0", "2001:db8:33::/48"].includes(other.prefix) ? other.prefix.split("::")[0] : null;
  const within = peer.prefix === other.prefix || (wide != null && peer.prefix.startsWith(wide));
  return within && (other.port === null || other.port === peer.port);
}
