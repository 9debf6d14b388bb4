import type { EventData, PortreeveRecord } from "../../src/events/index.ts";

/** The zone of the LAN's devices, and what else may be published below by devices that are no servers. */
export const ZONE = "lan0.internal";
const PRIVATE = [".internal", ".home.arpa", ".lan"];
export const VIEW = "lan:lan0";

export interface NamedDevice {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly kind: string;
  readonly dns: string;
  readonly secretId: string | null;
}

/** A record as those who see it must believe it. Times are gateway time. */
export interface NamedRecord {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  /** Null: an operator's. */
  readonly device: string | null;
  ttl: number;
  value: string;
  lifetimeMs: number | null;
  /** It may not end before, and must end then; null: it never ends by itself. */
  promised: number | null;
  latest: number | null;
}

/**
 * What the durable facts say of names, folded by the oracle itself: one map of records and walks over all of them. It
 * shares no code with the reducers, deciders and selectors that it judges.
 */
export class Names {
  readonly devices = new Map<string, NamedDevice>();
  readonly records = new Map<string, NamedRecord>();
  /** "device name": operators said yes to it. */
  readonly allowed = new Set<string>();
  /** Name → number of the last record that was about it. */
  readonly touchedAt = new Map<string, number>();

  at(name: string): NamedRecord[] {
    return [...this.records.values()].filter((record) => record.name === name);
  }

  /** Whose a name is: a device's id, "operator", or nobody's. */
  ownerOf(name: string): string | null {
    const [record] = this.at(name);
    return record === undefined ? null : (record.device ?? "operator");
  }

  /** Whose name it is by itself. */
  deviceNamed(name: string): NamedDevice | undefined {
    return [...this.devices.values()].find((device) => `${device.name}.${ZONE}` === name);
  }

  /** Whether a device may publish a name; null: it may. No name that the simulation draws is below another. */
  refusalOf(id: string, name: string): "NOT_AUTHORIZED" | "APPROVAL_PENDING" | null {
    const device = this.devices.get(id);
    if (device === undefined || device.dns === "off") return "NOT_AUTHORIZED";
    const owner = this.ownerOf(name);
    if (owner !== null && owner !== id) return "NOT_AUTHORIZED";
    const named = this.deviceNamed(name);
    if (named !== undefined && named.id !== id) return "NOT_AUTHORIZED";
    if (this.allowed.has(`${id} ${name}`)) return null;
    const mayByItself = device.kind === "server" || PRIVATE.some((zone) => name.endsWith(zone));
    return device.dns === "auto" && mayByItself ? null : "APPROVAL_PENDING";
  }

  fold({ seq, event }: PortreeveRecord): void {
    switch (event.type) {
      case "device.added": {
        const { id, name, address, kind, dns, dnsKeySecret } = event.data;
        return this.#setDevice({ id, name, address, kind, dns, secretId: dnsKeySecret }, seq);
      }
      case "device.changed": {
        const before = this.devices.get(event.data.id) as NamedDevice;
        const { name = before.name, address = before.address, kind = before.kind, dns = before.dns } = event.data;
        this.touchedAt.set(`${before.name}.${ZONE}`, seq);
        return this.#setDevice({ ...before, name, address, kind, dns }, seq);
      }
      case "device.removed":
        this.touchedAt.set(`${this.devices.get(event.data.id)?.name}.${ZONE}`, seq);
        this.devices.delete(event.data.id);
        return;
      case "name.allowed":
        this.allowed.add(`${event.data.device} ${event.data.name}`);
        return;
      case "name.withdrawn":
        this.allowed.delete(`${event.data.device} ${event.data.name}`);
        return;
      case "dns.updated":
        return this.#update(event.data, seq);
      case "record.added": {
        const { id, name, type, ttl, value, device, lifetime, expiresAt } = event.data;
        const lifetimeMs = lifetime === null ? null : lifetime * 1000;
        return this.#put(
          { id, name, type, ttl, value, device, lifetimeMs, promised: expiresAt, latest: expiresAt },
          seq,
        );
      }
      case "record.changed": {
        const record = this.#record(event.data.id);
        this.#put({ ...record, ttl: event.data.ttl ?? record.ttl, value: event.data.value ?? record.value }, seq);
        return;
      }
      case "record.removed":
        return this.#remove(event.data.id, seq);
      default:
    }
  }

  #setDevice(device: NamedDevice, seq: number): void {
    this.devices.set(device.id, device);
    this.touchedAt.set(`${device.name}.${ZONE}`, seq);
  }

  #update({ device, lifetime, expiresAt, removed, added, retimed }: EventData<"dns.updated">, seq: number): void {
    const term = { lifetimeMs: lifetime * 1000, promised: expiresAt, latest: expiresAt };
    for (const id of removed) this.#remove(id, seq);
    for (const { id, ttl } of retimed) this.#put({ ...this.#record(id), ttl, ...term }, seq);
    for (const each of added) this.#put({ ...each, device, ...term }, seq);
  }

  /** RFC 2181 §5.2: all of one type at a name have one TTL. */
  #put(record: NamedRecord, seq: number): void {
    this.records.set(record.id, record);
    for (const each of this.at(record.name)) if (each.type === record.type) each.ttl = record.ttl;
    this.touchedAt.set(record.name, seq);
  }

  #remove(id: string, seq: number): void {
    this.touchedAt.set(this.#record(id).name, seq);
    this.records.delete(id);
  }

  #record(id: string): NamedRecord {
    const record = this.records.get(id);
    if (record === undefined) throw new Error(`a record speaks of ${id}, which nobody has published`);
    return record;
  }
}

/** Rows by their keys, as text: what is served where all is well. */
export function expectedRows(names: Names): Map<string, string> {
  const rows = new Map<string, string>();
  const view = { interface: "lan0", prefixes: ["192.168.77.0/24"], zone: ZONE };
  rows.set(`view|${VIEW}`, JSON.stringify(view));
  for (const apex of ["home.arpa", "internal", "lan", "77.168.192.in-addr.arpa"]) rows.set(`zone|${apex}`, "all");
  rows.set(`zone|${ZONE}`, VIEW);
  const published = new Set([...names.records.values()].map(({ name }) => name));
  for (const { id, name, address, secretId } of names.devices.values()) {
    published.add(`${name}.${ZONE}`);
    const pointer = address.split(".").reverse().join(".");
    rows.set(`name|${pointer}.in-addr.arpa`, rowText([`PTR 60 ${name}.${ZONE}`], VIEW));
    rows.set(`key|${id}`, JSON.stringify([VIEW, address, `${name}.${ZONE}`, secretId]));
  }
  for (const name of published) {
    const there = names.at(name);
    const named = names.deviceNamed(name);
    const records = there.map(({ type, ttl, value }) => `${type} ${ttl} ${value}`);
    const hasOther = there.some(({ type }) => type === "A" || type === "CNAME");
    if (named !== undefined && !hasOther) records.push(`A 60 ${named.address}`);
    const isOperators = there.some(({ device }) => device === null);
    rows.set(`name|${name}`, rowText(records, isOperators ? "all" : VIEW));
  }
  return rows;
}

export const rowText = (records: readonly string[], views: string): string =>
  `${views}: ${[...records].sort().join(", ")}`;
