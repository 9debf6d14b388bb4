import type { TokenCreated } from "../events/account.ts";
import type { Seq } from "../events/envelope.ts";
import type { RouteGateway, Transport } from "../events/fields.ts";
import type { DeviceAdded } from "../events/device.ts";
import type { Claim } from "../events/mapping.ts";
import type { Settings } from "../events/settings.ts";
import type { SubnetAdded } from "../events/subnet.ts";
import { isIpv6 } from "../lib/ipv6.ts";
import { emptyTable, type Table } from "../lib/table.ts";

/** Bumped when the same log would fold into another state: snapshots of an older fold are then not used. */
export const REDUCER_VERSION = 9;

export interface Mapping {
  id: string;
  wan: string;
  protocol: Transport;
  externalPort: number;
  internalAddress: string;
  internalPort: number;
  /** Address that its host is counted by; null: the internal one. */
  host: string | null;
  count: number;
  interface: string | null;
  label: string | null;
  enabled: boolean;
  /** What its host sees of visitors; null: chosen by the device's profile. */
  sourceAddress: "keep" | "gateway" | null;
  /** The only networks it is reached from; empty: everywhere. */
  from: string[];
  /** The TLS server name that it is for, beside others on one port; null: all of the port, or what no name is for. */
  name: string | null;
  /** In the order they joined; never empty: the mapping lives while one claim does. */
  claims: Claim[];
  createdAt: number;
  /** Seq of the record that made it: older wins where two want the same outbound port. */
  createdSeq: Seq;
  /** Seq of the last record that changed what packets meet. */
  specRevision: Seq;
  /** Seq of the last record that changed anything of it. */
  revision: Seq;
}

/** A mapping that translates nothing: what is sent to this port of an IPv6 host is let in. */
export const isPinhole = ({ internalAddress }: Pick<Mapping, "internalAddress">): boolean => isIpv6(internalAddress);

/** The address by which the host of a mapping is known and counted. */
export const hostOf = ({ host, internalAddress }: Pick<Mapping, "host" | "internalAddress">): string =>
  host ?? internalAddress;

/** Stands for all IPv6 hosts of an interface whose IPv4 address is unknown: they are counted as one. */
export const UNKNOWN_HOST = "::";

/** What an address of a served interface has used of what it may: there while it has a claim or owes tokens. */
export interface Usage {
  interface: string;
  address: string;
  /** Mappings it holds a claim on, oldest first. */
  mappingIds: string[];
  /** External ports of those. */
  ports: number;
  /** Event bucket (portControl.perDevice): what was left at `tokensAt`. */
  tokens: number;
  tokensAt: number;
}

/** Of what a device published. */
export interface Published {
  readonly records: number;
  readonly characters: number;
}

/** A WireGuard subnet of ours. */
export interface Subnet extends SubnetAdded {
  createdSeq: Seq;
  revision: Seq;
}

/** A device that an operator registered. */
export interface Device extends DeviceAdded {
  createdAt: number;
  createdSeq: Seq;
  revision: Seq;
}

export interface DnsRecord {
  id: string;
  type: string;
  ttl: number;
  value: string;
  /** Seconds granted; null for an operator's, which has no end. */
  lifetime: number | null;
  expiresAt: number | null;
  managedBy?: string | undefined;
  createdAt: number;
  revision: Seq;
}

/** A name that somebody put here: whose it is, and its records, by type and value. */
export interface DnsName {
  name: string;
  /** The device whose it is; null: an operator's. */
  device: string | null;
  /** Who sees it; null: everyone. A device's is seen in the view that the device is in. */
  views: string[] | null;
  records: DnsRecord[];
  revision: Seq;
}

export interface Interface {
  name: string;
  up: boolean;
  addresses: string[];
  /** Where its default route leads; null: it has none, or is no WAN. */
  gateway: RouteGateway | null;
  revision: Seq;
}

export interface WanAddress {
  /** What clients are told. */
  reported: string;
  /** What packets carry: the interface's own; differs from `reported` behind 1:1 NAT. */
  matched: string;
}

/** A freed external port, kept from other hosts until `until`. */
export interface Quarantine {
  device: string;
  until: number;
}

/** An external key whose live flows an operator's decision ended. */
export interface Severed {
  /** External address the flows came in by; the WAN may have another by now. */
  address: string;
  protocol: Transport;
  /** 0 with count 0: all of that address. */
  port: number;
  count: number;
  at: number;
  revision: Seq;
}

/** The last start of the controller, and whether it has stopped cleanly since. */
export interface Run {
  startedAt: number;
  /** CLOCK_BOOTTIME at `startedAt`, milliseconds. */
  uptimeMs: number;
  bootId: string;
  version: string;
  afterCleanStop: boolean;
  stopped: boolean;
}

/** Who may use the admin API over TCP, and by what. */
export interface Access {
  password: { secretId: string; setAt: number } | null;
  totp: { secretId: string; enabledAt: number } | null;
  link: { secretId: string; expiresAt: number } | null;
  /** By id. */
  tokens: Record<string, TokenCreated & { createdAt: number }>;
  authority: { certificate: string; secretId: string } | null;
}

export interface Confirmation {
  id: string;
  seqs: Seq[];
  objects: string[];
  until: number;
}

export interface State {
  seq: Seq;
  at: number;
  run: Run;
  settings: Settings;
  settingsRevision: Seq;
  interfaces: Record<string, Interface>;
  /** WAN interface → the address it last had; kept while it has none, so that the same one coming back changes nothing. */
  wanAddresses: Record<string, WanAddress>;
  /** Changes when a WAN's address, the settings or an interface did: every row may differ. */
  topologyRevision: Seq;
  listeners: { protocol: Transport; port: number }[];
  listenersRevision: Seq;
  mappings: Table<Mapping>;
  /** `wan|protocol|port`, or with `|name` → mapping id, one entry for each external port (a range has `count`). */
  byExternal: Table<string>;
  /** `wan|protocol|port` → ids of the mappings that share it by name, oldest first. */
  shared: Table<string[]>;
  /** `address|protocol|port` → ids of the mappings to it, oldest first; each port of a range has one. */
  byInternal: Table<string[]>;
  /** `interface|address`. */
  usages: Table<Usage>;
  /** By id. */
  devices: Table<Device>;
  /** `site|address` → device id; the site is a LAN's interface, or "" for all of our subnets. */
  deviceAt: Table<string>;
  /** Name → device id. */
  deviceNamed: Table<string>;
  /** Public key → device id. */
  deviceKeyed: Table<string>;
  /** By id. */
  subnets: Record<string, Subnet>;
  /** Devices on subnets: with none there is no WireGuard interface. */
  tunnelled: number;
  /** Changes when the set of served interfaces does, other than by settings. */
  servedRevision: Seq;
  /** Our own key; null until there was a first start with WireGuard. */
  wireguard: { publicKey: string; privateKeySecret: string; revision: Seq } | null;
  /** `device id|protocol|port` → since when. */
  allowances: Record<string, { device: string; protocol: Transport; internalPort: number; at: number }>;
  /** By name. */
  names: Table<DnsName>;
  /** Record id → name. */
  recordNames: Table<string>;
  /** Address → names with an A or AAAA record of it, sorted. */
  namesAt: Table<string[]>;
  /** Device id → its names, sorted. */
  namesOf: Table<string[]>;
  /** Device id → how much it has at all of them. */
  published: Table<Published>;
  /** Zone → id of the device that it is delegated to. */
  delegations: Table<string>;
  /** `device id|name` → since when the device may publish it and what is below it. */
  allowedNames: Record<string, { device: string; name: string; at: number }>;
  /** Changes with what is served, and only with that: the serial of all zones. */
  dnsRevision: Seq;
  access: Access;
  /** `wan|protocol|port`. */
  quarantine: Table<Quarantine>;
  /** `address|protocol|port` of the external side. */
  severed: Table<Severed>;
  /** `address|protocol|port` of the internal side → since when. */
  blocks: Record<string, { device: string; protocol: Transport; internalPort: number; at: number }>;
  /** Served interface → gateway time at which its epoch was 0. */
  epochs: Record<string, { startedAt: number; reason: string }>;
  /** Reconciler → gateway time until which it is paused. */
  pauses: Record<string, number>;
  /** By id: changes that are reverted at `until` unless somebody confirms them. */
  confirmations: Record<string, Confirmation>;
}

export const DEFAULT_SETTINGS: Settings = {
  wan: { interfaces: [], externalAddress: "auto" },
  lan: [],
  wireguard: null,
  portControl: {
    pcp: true,
    natpmp: true,
    upnp: true,
    lifetime: { pcpMin: 120, max: 86400 },
    quarantine: 120,
    protectedPorts: [22],
    perDevice: { mappings: 256, ports: 2048, requestsPerSecond: 50, eventsPerMinute: 20, eventBurst: 512 },
  },
  dns: {
    listenPort: 53,
    upstreams: "system",
    privateZones: ["home.arpa", "internal", "lan"],
    protectedNames: [],
    perDevice: { records: 1024 },
  },
};

export function initialState(): State {
  return {
    seq: 0,
    at: 0,
    run: { startedAt: 0, uptimeMs: 0, afterCleanStop: true, stopped: true, bootId: "", version: "" },
    settings: DEFAULT_SETTINGS,
    settingsRevision: 0,
    interfaces: {},
    wanAddresses: {},
    topologyRevision: 0,
    listeners: [],
    listenersRevision: 0,
    mappings: emptyTable(),
    byExternal: emptyTable(),
    shared: emptyTable(),
    byInternal: emptyTable(),
    usages: emptyTable(),
    devices: emptyTable(),
    deviceAt: emptyTable(),
    deviceNamed: emptyTable(),
    deviceKeyed: emptyTable(),
    subnets: {},
    tunnelled: 0,
    servedRevision: 0,
    wireguard: null,
    allowances: {},
    names: emptyTable(),
    recordNames: emptyTable(),
    namesAt: emptyTable(),
    namesOf: emptyTable(),
    published: emptyTable(),
    delegations: emptyTable(),
    allowedNames: {},
    dnsRevision: 0,
    access: { password: null, totp: null, link: null, tokens: {}, authority: null },
    quarantine: emptyTable(),
    severed: emptyTable(),
    blocks: {},
    epochs: {},
    pauses: {},
    confirmations: {},
  };
}

/** `name`: of a mapping that shares the port. */
export const externalKey = (wan: string, protocol: Transport, port: number, name: string | null = null): string =>
  name === null ? `${wan}|${protocol}|${port}` : `${wan}|${protocol}|${port}|${name}`;
export const internalKey = (address: string, protocol: Transport, port: number): string =>
  `${address}|${protocol}|${port}`;
export const usageKey = (iface: string, address: string): string => `${iface}|${address}`;
/** `site`: a LAN's interface, or null for our subnets, none of which overlap. */
export const deviceKey = (site: string | null, address: string): string => `${site ?? ""}|${address}`;
export const allowanceKey = (device: string, protocol: Transport, port: number): string =>
  `${device}|${protocol}|${port}`;
export const allowedNameKey = (device: string, name: string): string => `${device}|${name}`;
