import type { Command } from "../../src/reducers/decide/command.ts";
import type { DnsUpdate, Prerequisite, RecordChange } from "../../src/lib/dns-record.ts";
import type { Chance } from "./chance.ts";
import { type NamedDevice, type Names, ZONE } from "./names.ts";
import type { Request } from "./requests.ts";

/** None of them asks for ports: those are at other addresses. */
const BOXES = [20, 21, 22, 23].map((host) => ({ name: `box${host}`, address: `192.168.77.${host}` }));
/** Few, so that updates meet; none is below another. */
const NAMES = ["a", "b", "c", "box20", "box22"]
  .map((label) => `${label}.${ZONE}`)
  .concat("tv.home.arpa", "www.example.com", "mail.example.net");
const VALUES = {
  A: ["10.59.0.1", "10.59.0.2", "10.59.0.3"],
  TXT: ['"one"', '"two"'],
  CNAME: ["x.example", "y.example"],
};
const KINDS = ["server", "server", "client"] as const;
const RIGHTS = ["auto", "auto", "auto", "ask", "off"] as const;

type Type = keyof typeof VALUES;
const someType = (chance: Chance): Type => chance.weighted({ A: 6, TXT: 3, CNAME: 2 });

/** What devices and operators want of names next. */
export function drawNameRequest(chance: Chance, names: Names, recent: readonly Request[]): Request {
  const devices = [...names.devices.values()];
  const verb = devices.length === 0 ? "add" : chance.weighted({ update: 56, again: 12, add: 8, operator: 24 });
  const last = recent.findLast(({ command }) => command.type === "dns.update");
  if (verb === "again" && last !== undefined) return last;
  if (verb === "update" || verb === "again") return drawUpdate(chance, chance.pick(devices));
  const command = verb === "add" ? drawDevice(chance) : drawOperator(chance, names, devices);
  return { command, source: "api:socket" };
}

function drawDevice(chance: Chance): Command {
  const { name, address } = chance.pick(BOXES);
  return {
    type: "device.add",
    name,
    kind: chance.pick(KINDS),
    subnet: null,
    interface: "lan0",
    address,
    publicKey: null,
    privateKeySecret: null,
    presharedKeySecret: null,
    ports: null,
    dns: chance.pick([null, "auto", "auto", "ask"]),
    wan: null,
    lifetime: null,
    profile: null,
  };
}

function drawUpdate(chance: Chance, { id, address }: NamedDevice): Request {
  const name = chance.pick(NAMES);
  const changes = Array.from({ length: chance.pick([1, 1, 2, 3]) }, () => drawChange(chance, name));
  const update: DnsUpdate = {
    zone: name.slice(name.indexOf(".") + 1),
    prerequisites: chance.happens(0.25) ? [drawPrerequisite(chance, name)] : [],
    changes,
    lease: chance.pick([null, 10, 60, 300, 3600]),
  };
  const command = { type: "dns.update", device: id, interface: "lan0", signed: true, update } as const;
  return { command, source: `dns:${address}` };
}

function drawChange(chance: Chance, name: string): RecordChange {
  const type = someType(chance);
  const value = chance.pick(VALUES[type]);
  const kind = chance.weighted({ add: 12, "delete-value": 3, "delete-rrset": 3, "delete-name": 1 });
  switch (kind) {
    case "add":
      return { kind, name, type, ttl: chance.pick([60, 60, 300]), value };
    case "delete-value":
      return { kind, name, type, value };
    case "delete-rrset":
      return { kind, name, type };
    default:
      return { kind, name };
  }
}

function drawPrerequisite(chance: Chance, name: string): Prerequisite {
  const kind = chance.pick(["name-in-use", "name-not-in-use", "rrset-exists", "rrset-absent"] as const);
  return kind === "name-in-use" || kind === "name-not-in-use" ? { kind, name } : { kind, name, type: someType(chance) };
}

function drawOperator(chance: Chance, names: Names, devices: readonly NamedDevice[]): Command {
  const { id } = chance.pick(devices);
  const name = chance.pick(NAMES);
  const records = [...names.records.values()];
  const verb = chance.weighted({ edit: 8, kind: 3, remove: 4, allow: 8, publish: 5, change: 3, withdraw: 3 });
  switch (verb) {
    case "edit":
      return { type: "device.edit", id, dns: chance.pick(RIGHTS) };
    case "kind":
      return { type: "device.edit", id, kind: chance.pick(KINDS) };
    case "remove":
      return { type: "device.remove", id };
    case "allow":
      return { type: "name.allow", id, name, allowed: chance.happens(0.7) };
    default: {
      const recordType = someType(chance);
      const value = chance.pick(VALUES[recordType]);
      const record = records.length === 0 ? undefined : chance.pick(records);
      if (verb === "publish" || record === undefined)
        return { type: "record.add", name, recordType, ttl: chance.pick([null, 60, 300]), value, views: null };
      if (verb === "withdraw") return { type: "record.remove", id: record.id };
      return { type: "record.edit", id: record.id, ttl: chance.pick([60, 300]) };
    }
  }
}
