import { isAddressType } from "../lib/dns-record.ts";
import type { DnsServedRecord } from "../lib/dns-row.ts";
import { networkOf, formatIpv4, parseIpv4Prefix, withoutLength } from "../lib/ip.ts";
import { ipv6For, ipv6Network, parseIpv6Prefix } from "../lib/ipv6.ts";
import { Networks } from "../lib/networks.ts";
import { reverseZones } from "../lib/reverse-name.ts";
import { tableGet } from "../lib/table.ts";
import { deviceNamed } from "./device.ts";
import { deviceIpv6 } from "./ipv6-host.ts";
import { ipv6PrefixOf } from "./ipv6-place.ts";
import type { Device, DnsName, State, Subnet } from "./state.ts";

/** What the devices of one subnet, or of one served LAN that has a resolver of ours, see. */
export interface View {
  readonly id: string;
  readonly interface: string;
  readonly subnet: Subnet | null;
  /** Its networks: "10.59.7.0/24". */
  readonly networks: readonly string[];
  /** The gateway's own addresses there, at which it is asked. */
  readonly servers: readonly string[];
  readonly zone: string;
  readonly unsignedUpdates: boolean;
}

type Places = Pick<State, "settings" | "subnets" | "interfaces">;

/** A zone that nobody named is a label below this. */
function defaultParent({ privateZones }: State["settings"]["dns"]): string {
  return privateZones.includes("internal") ? "internal" : (privateZones[0] ?? "internal");
}

/** "Holiday home" → "holiday-home.internal". */
function defaultZone(name: string, id: string, settings: State["settings"]): string {
  const label = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, 63);
  return `${label === "" ? id : label}.${defaultParent(settings.dns)}`;
}

export const zoneOfSubnet = ({ id, name, zone }: Subnet, settings: State["settings"]): string =>
  zone ?? defaultZone(name, id, settings);

type Placed = Pick<Device, "subnet" | "interface">;

const lanView = (iface: string): string => `lan:${iface}`;
export const viewIdOf = ({ subnet, interface: lan }: Placed): string => subnet ?? lanView(lan ?? "");

interface Views {
  readonly places: Places;
  readonly views: readonly View[];
  readonly networks: readonly { readonly view: View; readonly networks: Networks }[];
  readonly byId: ReadonlyMap<string, View>;
  readonly byZone: ReadonlyMap<string, readonly View[]>;
  readonly reverse: ReadonlySet<string>;
}

let last: Views | null = null;

/** Remembered: asked for at each update, and changing with the settings, the subnets and the interfaces alone. */
function known(state: Places): Views {
  const { settings, subnets, interfaces } = state;
  const same =
    last?.places.settings === settings && last.places.subnets === subnets && last.places.interfaces === interfaces;
  if (last !== null && same) return last;
  const views = [...subnetViews(state), ...lanViews(state)];
  const byZone = new Map<string, View[]>();
  for (const view of views) byZone.set(view.zone, [...(byZone.get(view.zone) ?? []), view]);
  last = {
    places: { settings, subnets, interfaces },
    views,
    networks: views.map((view) => ({ view, networks: new Networks(view.networks) })),
    byId: new Map(views.map((view) => [view.id, view])),
    byZone,
    reverse: new Set(views.flatMap(({ networks }) => networks.flatMap(reverseZones))),
  };
  return last;
}

function subnetViews({ settings, subnets }: Places): View[] {
  const { wireguard } = settings;
  if (wireguard === null) return [];
  return Object.values(subnets).map((subnet): View => {
    const [gateway, ipv6] = [withoutLength(subnet.prefix), ipv6PrefixOf(subnet)];
    return {
      id: subnet.id,
      interface: wireguard.interface,
      subnet,
      networks: [networkText(subnet.prefix), ...(ipv6 === null ? [] : [ipv6Network(ipv6)])],
      servers: [gateway, ...(ipv6 === null ? [] : [ipv6For(ipv6, gateway)])],
      zone: zoneOfSubnet(subnet, settings),
      unsignedUpdates: false,
    };
  });
}

function lanViews({ settings, interfaces }: Places): View[] {
  return settings.lan
    .filter(({ dns }) => dns)
    .map(({ interface: name, zone, dnsUpdates }): View => {
      return {
        id: lanView(name),
        interface: name,
        subnet: null,
        networks: [...new Set((interfaces[name]?.addresses ?? []).map(networkText))],
        servers: (interfaces[name]?.addresses ?? []).map(withoutLength),
        zone: zone ?? defaultZone(name, name, settings),
        unsignedUpdates: dnsUpdates === "own-address",
      };
    });
}

function networkText(cidr: string): string {
  const prefix = parseIpv4Prefix(cidr);
  if (prefix !== null) return `${formatIpv4(networkOf(prefix))}/${prefix.length}`;
  const ipv6 = parseIpv6Prefix(cidr);
  return ipv6 === null ? cidr : ipv6Network(ipv6);
}

export const viewsOf = (state: Places): readonly View[] => known(state).views;
export const viewWithId = (state: Places, id: string): View | undefined => known(state).byId.get(id);
export const viewOf = (state: Places, device: Placed): View | undefined => viewWithId(state, viewIdOf(device));
const reverseZonesOf = (state: Places): ReadonlySet<string> => known(state).reverse;

/** The view whose network has an address; null where none has. */
export const viewAt = (state: Places, address: string): View | null =>
  known(state).networks.find(({ networks }) => networks.contain(address))?.view ?? null;

/** The name that a device has by itself; null where nobody is served DNS. */
export function ownName(state: Places, device: Placed & Pick<Device, "name">): string | null {
  const view = viewOf(state, device);
  return view === undefined ? null : `${device.name}.${view.zone}`;
}

/** The device that a name is of by itself. */
export function deviceOfName(state: State, name: string): Device | undefined {
  const dot = name.indexOf(".");
  const views = known(state).byZone.get(name.slice(dot + 1));
  const device = dot < 0 || views === undefined ? undefined : deviceNamed(state, name.slice(0, dot));
  return device !== undefined && views?.some(({ id }) => id === viewIdOf(device)) === true ? device : undefined;
}

/** Its address, and where its subnet has IPv6 that one too. */
export function addressesOfDevice(state: Places, device: Device): string[] {
  const ipv6 = deviceIpv6(state, device);
  return ipv6 === null ? [device.address] : [device.address, ipv6];
}

/** Of what a device is called by itself: short, as it may get another address. */
export const OWN_TTL = 60;

/** A device's names are seen where it is; null: everywhere. */
export function viewsOfName(state: State, holder: DnsName): readonly string[] | null {
  if (holder.device === null) return holder.views;
  const device = tableGet(state.devices, holder.device);
  return device === undefined ? [] : [viewIdOf(device)];
}

/** The addresses of a device at its own name, unless somebody put addresses or an alias there. */
export function ownRecords(state: State, device: Device, there: readonly { type: string }[]): DnsServedRecord[] {
  if (there.some(({ type }) => isAddressType(type) || type === "CNAME")) return [];
  return addressesOfDevice(state, device).map((value) => {
    return { type: value.includes(":") ? "AAAA" : "A", ttl: OWN_TTL, value };
  });
}

/** What a zone of ours is seen by; undefined where a name is none's apex, null where all see it. */
export function zoneViews(state: State, apex: string): readonly string[] | null | undefined {
  if (state.settings.dns.privateZones.includes(apex) || reverseZonesOf(state).has(apex)) return null;
  const own = known(state).byZone.get(apex);
  const delegate = tableGet(state.delegations, apex);
  if (own === undefined && delegate === undefined) return undefined;
  const views = new Set(own?.map(({ id }) => id));
  const device = delegate === undefined ? undefined : tableGet(state.devices, delegate);
  const view = device === undefined ? undefined : viewOf(state, device);
  if (view !== undefined) views.add(view.id);
  return views.size === 0 ? undefined : [...views].sort();
}

/** Apexes of all zones of ours but the delegated ones. */
export function* fixedZones(state: Places): Generator<string> {
  yield* state.settings.dns.privateZones;
  yield* known(state).byZone.keys();
  yield* known(state).reverse;
}
