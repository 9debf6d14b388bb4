import type { EventData, PortreeveRecord } from "../../src/events/index.ts";
import type { Claim, PeerFilter } from "../../src/events/mapping.ts";
import type { Settings } from "../../src/events/settings.ts";
import { Names } from "./names.ts";
import type { Rights } from "./rights.ts";

/** A record is made at least every ten minutes, and appends may fail for a while. */
const TOLD_AHEAD_MAX_MS = 15 * 60_000;

/** One claim as those who were told of it must believe it. Times are gateway time. */
export interface PromisedClaim {
  readonly key: string;
  readonly source: string;
  readonly device: string | null;
  lifetimeMs: number | null;
  /** It may not end before; null: it never ends by itself. */
  promised: number | null;
  /** It must end then: later than `promised` only by what a restart adds. */
  latest: number | null;
  /** A success has left for it: from then on it cannot be withdrawn. */
  told: boolean;
  /** Whom it lets in; none: everyone. */
  filters: readonly PeerFilter[];
  enabled: boolean;
  /** Number of the record that made it first, whatever was taken back since. */
  readonly since: number;
}

export interface PromisedMapping {
  readonly id: string;
  readonly wan: string;
  readonly protocol: "tcp" | "udp";
  externalPort: number;
  internalAddress: string;
  internalPort: number;
  /** Of a pinhole: the address of IPv4 that its host is known by. */
  readonly host: string | null;
  count: number;
  readonly name: string | null;
  from: readonly string[];
  interface: string | null;
  label: string | null;
  enabled: boolean;
  readonly claims: Map<string, PromisedClaim>;
  /** Number of the record that made it, and of the last that moved it. */
  readonly order: number;
  changedAt: number;
}

interface Bucket {
  tokens: number;
  at: number;
}

/**
 * What the durable facts promise to whom: folded by the oracle itself, with plain maps and walks over all of them. It
 * shares no code with the reducers, deciders and selectors that it judges.
 */
export class Promises {
  seq = 0;
  at = 0;
  settings: Settings | null = null;
  readonly mappings = new Map<string, PromisedMapping>();
  /** "wan|protocol|port" → who may have it back, until when others may not. */
  readonly quarantine = new Map<string, { device: string; until: number }>();
  readonly names = new Names();
  /** Null: nobody's are played with. */
  readonly rights: Rights | null;
  readonly blocks = new Set<string>();
  readonly links = new Map<string, { up: boolean; addresses: readonly string[] }>();
  listeners: readonly { protocol: string; port: number }[] = [];
  readonly buckets = new Map<string, Bucket>();
  readonly pauses = new Map<string, number>();
  /** WAN → the external address it last had. */
  readonly #lastAddress = new Map<string, string>();
  epochStart: number | null = null;
  /** Number of the record that began the epoch. */
  epochStartedBy = 0;
  /** Number of the last record that changed what all mappings hang on. */
  topologyAt = 0;
  /** After a start: clients may have been told so much more of time than gateway time goes on from. */
  toldAhead = 0;
  #stopped = true;
  #bootId = "";
  #silentSince = 0;

  constructor(rights: Rights | null = null) {
    this.rights = rights;
  }

  /** The addresses a WAN's packets carry, and the one clients are told first; null while it has none. */
  addressesOf(wan: string): { reported: string; all: readonly string[] } | null {
    const link = this.links.get(wan);
    if (link === undefined || !link.up || this.settings === null) return null;
    const own = link.addresses.map((cidr) => cidr.split("/")[0] as string);
    const literal = this.settings.wan.externalAddress;
    if (literal === "auto") {
      const global = own.find((address) => !/^(10|192\.168|169\.254)\./.test(address));
      return global === undefined ? null : { reported: global, all: [global] };
    }
    const matched = own.find((address) => !address.startsWith("169.254."));
    return matched === undefined ? null : { reported: literal, all: [matched, literal] };
  }

  preferredWan(): string {
    return this.settings?.wan.interfaces[0] ?? "";
  }

  /** Who holds an external port, whoever shares it by name. */
  holder(wan: string, protocol: string, port: number): PromisedMapping | undefined {
    return this.having(wan, protocol, port, null);
  }

  named(wan: string, protocol: string, port: number): PromisedMapping[] {
    return [...this.mappings.values()].filter(
      (each) => each.name !== null && each.wan === wan && each.protocol === protocol && each.externalPort === port,
    );
  }

  /** Who has one name of an external port, or the port. */
  having(wan: string, protocol: string, port: number, name: string | null): PromisedMapping | undefined {
    return [...this.mappings.values()].find(
      (each) =>
        each.name === name &&
        each.wan === wan &&
        each.protocol === protocol &&
        each.externalPort <= port &&
        port < each.externalPort + each.count,
    );
  }

  /** Mappings of the preferred WAN that end at this port of a host. */
  to(device: string, protocol: string, port: number): PromisedMapping[] {
    return [...this.mappings.values()].filter(
      (each) =>
        each.name === null &&
        each.wan === this.preferredWan() &&
        each.internalAddress === device &&
        each.protocol === protocol &&
        each.internalPort <= port &&
        port < each.internalPort + each.count,
    );
  }

  tokens(device: string, at: number): number {
    const limits = this.settings?.portControl.perDevice;
    if (limits === undefined) return 0;
    const bucket = this.buckets.get(device);
    if (bucket === undefined) return limits.eventBurst;
    const refill = (Math.max(0, at - bucket.at) / 60_000) * limits.eventsPerMinute;
    return Math.min(limits.eventBurst, bucket.tokens + refill);
  }

  fold(record: PortreeveRecord): void {
    const { event, at } = record;
    this.seq = record.seq;
    [this.#silentSince, this.at] = [this.at, at];
    this.names.fold(record);
    this.rights?.fold(record, this.mappings);
    switch (event.type) {
      case "mapping.granted": {
        const { claim, ...place } = event.data;
        const mapping = {
          ...place,
          claims: new Map([[claim.key, claimOf(claim, record.seq)]]),
          order: record.seq,
          changedAt: record.seq,
        };
        this.mappings.set(mapping.id, mapping);
        this.#freeFromQuarantine(mapping);
        this.#charge(record, mapping);
        return;
      }
      case "mapping.restored":
        return this.#restore(event.data, record.seq);
      case "mapping.changed": {
        const { id, ...fields } = event.data;
        const mapping = this.#mapping(id);
        Object.assign(mapping, fields, { changedAt: record.seq });
        this.#freeFromQuarantine(mapping);
        return;
      }
      case "lease.granted": {
        const mapping = this.#mapping(event.data.mappingId);
        mapping.claims.set(event.data.claim.key, claimOf(event.data.claim, record.seq));
        mapping.changedAt = record.seq;
        this.#charge(record, mapping);
        return;
      }
      case "lease.changed": {
        const { mappingId, claimKey, lifetime, expiresAt, filters, enabled } = event.data;
        const mapping = this.#mapping(mappingId);
        const claim = mapping.claims.get(claimKey) as PromisedClaim;
        claim.lifetimeMs = lifetime === null ? null : lifetime * 1000;
        claim.promised = claim.latest = expiresAt;
        if (filters !== undefined) claim.filters = filters;
        if (enabled !== undefined) claim.enabled = enabled;
        mapping.changedAt = record.seq;
        this.#charge(record, mapping);
        return;
      }
      case "lease.released":
      case "lease.expired":
        this.#end(record, event.data.mappingId, event.data.claimKey);
        return;
      default:
        this.#foldTopology(record);
    }
  }

  #foldTopology({ event, at, seq }: PortreeveRecord): void {
    if (/^(settings|interface)/.test(event.type)) this.topologyAt = seq;
    switch (event.type) {
      case "settings.changed":
        this.settings = event.data.settings;
        this.#followAddresses(at, seq);
        if (this.epochStart === null && event.data.settings.lan.length > 0) this.#beginEpoch(at, seq);
        return;
      case "interface.observed":
        this.links.set(event.data.name, event.data);
        this.#followAddresses(at, seq);
        return;
      case "interface.lost":
        this.links.delete(event.data.name);
        return;
      case "listeners.observed":
        this.listeners = event.data.listeners;
        return;
      case "block.set":
        this.blocks.add(blockKey(event.data));
        return;
      case "block.lifted":
        this.blocks.delete(blockKey(event.data));
        return;
      case "reconciler.paused":
        this.pauses.set(event.data.name, event.data.until);
        return;
      case "reconciler.resumed":
        this.pauses.delete(event.data.name);
        return;
      case "controller.stopped":
        this.#stopped = true;
        return;
      case "controller.started": {
        const { bootId } = event.data;
        this.toldAhead = this.#stopped || bootId === this.#bootId ? 0 : this.#silentSince + TOLD_AHEAD_MAX_MS - at;
        [this.#stopped, this.#bootId] = [false, bootId];
        return;
      }
      case "epoch.advanced":
        this.epochStart = (this.epochStart ?? 0) - event.data.byMs;
        return;
      default:
    }
  }

  /**
   * A new process at `now`: leases may live longer than was said, never shorter. After a reboot with a wall clock that
   * is behind, gateway time goes on from the last logged instant, which is before `lastNow`: what was promised is a
   * time to live, and it has as long to go as it had.
   */
  restarted(now: number, lastNow: number): void {
    const back = Math.max(0, lastNow - now);
    const claims = [...this.mappings.values()].flatMap((mapping) => [...mapping.claims.values()]);
    for (const lease of [...claims, ...this.names.records.values()]) {
      if (lease.promised === null || lease.latest === null || lease.lifetimeMs === null) continue;
      lease.promised -= back;
      const grace = this.#stopped ? Math.min(lease.lifetimeMs, 20 * 60_000) : lease.lifetimeMs;
      lease.latest = Math.max(lease.latest, now + grace);
    }
  }

  /** RFC 6887 §8.5: another external address restarts the epoch; the same one coming back does not. */
  #followAddresses(at: number, seq: number): void {
    for (const wan of this.settings?.wan.interfaces ?? []) {
      const address = this.addressesOf(wan)?.reported;
      if (address === undefined) continue;
      const last = this.#lastAddress.get(wan);
      this.#lastAddress.set(wan, address);
      if (last !== undefined && last !== address && this.epochStart !== null) this.#beginEpoch(at, seq);
    }
  }

  #beginEpoch(at: number, seq: number): void {
    [this.epochStart, this.epochStartedBy] = [at, seq];
  }

  /** What is still there of it stays as it is; what comes back is as old as it was. */
  #restore({ claims, createdAt: _at, createdSeq, ...place }: EventData<"mapping.restored">, seq: number): void {
    const there = this.mappings.get(place.id)?.claims;
    const all = claims.map((claim): [string, PromisedClaim] => {
      const since = this.rights?.ended.get(`${place.id} ${claim.key}`)?.[0]?.claim.since ?? seq;
      return [claim.key, there?.get(claim.key) ?? claimOf(claim, since)];
    });
    const mapping = { ...place, claims: new Map(all), order: createdSeq, changedAt: seq };
    this.mappings.set(place.id, mapping);
    this.#freeFromQuarantine(mapping);
  }

  #mapping(id: string): PromisedMapping {
    const mapping = this.mappings.get(id);
    if (mapping === undefined) throw new Error(`a record speaks of mapping ${id}, which nobody was promised`);
    return mapping;
  }

  #end(record: PortreeveRecord, id: string, key: string): void {
    const mapping = this.#mapping(id);
    this.#charge(record, mapping);
    mapping.claims.delete(key);
    mapping.changedAt = record.seq;
    if (mapping.claims.size > 0) return;
    this.mappings.delete(id);
    const reason = record.event.type === "lease.released" ? record.event.data.reason : "expired";
    if (reason === "operator" || reason === "withdrawn") return;
    const until = record.at + (this.settings?.portControl.quarantine ?? 0) * 1000;
    for (const place of placesOf(mapping)) this.quarantine.set(place, { device: mapping.internalAddress, until });
  }

  #freeFromQuarantine(mapping: PromisedMapping): void {
    for (const place of placesOf(mapping)) this.quarantine.delete(place);
  }

  #charge({ source, at }: PortreeveRecord, mapping: PromisedMapping): void {
    if (!/^(pcp|natpmp):/.test(source) || mapping.interface === null) return;
    const device = mapping.internalAddress;
    this.buckets.set(device, { tokens: Math.max(0, this.tokens(device, at) - 1), at });
  }
}

function claimOf(claim: Claim, since: number): PromisedClaim {
  const { key, source, device, lifetime, expiresAt, filters, enabled } = claim;
  const lifetimeMs = lifetime === null ? null : lifetime * 1000;
  const ends = { lifetimeMs, promised: expiresAt, latest: expiresAt };
  return { key, source, device, ...ends, told: false, filters, enabled, since };
}

const placesOf = ({ wan, protocol, externalPort, count, name }: PromisedMapping): string[] =>
  Array.from({ length: count }, (_, offset) => {
    return `${wan}|${protocol}|${externalPort + offset}${name === null ? "" : `|${name}`}`;
  });

/** Somebody wants it now, and no operator has switched it off. */
export const isOpen = ({ enabled, claims }: PromisedMapping): boolean =>
  enabled && [...claims.values()].some((claim) => claim.enabled);

export const blockKey = (block: { device: string; protocol: string; internalPort: number }): string =>
  `${block.device}|${block.protocol}|${block.internalPort}`;

/** Ports nobody may map. */
export function isProtected(protocol: string, port: number, { settings, listeners }: Promises): boolean {
  return (
    port >= 61_000 ||
    (protocol === "udp" && [1900, 5350, 5351].includes(port)) ||
    (protocol === "tcp" && [60_080, 60_443].includes(port)) ||
    (protocol === "tcp" && port === 80 && settings?.wan.httpRedirect === "on") ||
    settings?.portControl.protectedPorts.includes(port) === true ||
    listeners.some((listener) => listener.protocol === protocol && listener.port === port)
  );
}
