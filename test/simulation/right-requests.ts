import type { PeerFilter } from "../../src/events/mapping.ts";
import type { Command, MapRequest } from "../../src/reducers/decide/command.ts";
import { keyOf, secretOf } from "../unit/reducers/router.ts";
import type { Chance } from "./chance.ts";
import type { PromisedMapping, Promises } from "./promises.ts";
import type { Request } from "./requests.ts";
import { type Entitled, isGuest, type Rights } from "./rights.ts";

/** The LAN has one of them at a time. */
export const LAN_PREFIXES = ["2001:db8:77", "2001:db8:78"] as const;
const LAN_HOSTS = [31, 32, 33];
/** Nobody knows its IPv4 address. */
const HIDDEN = 39;
const NONCES = ["6", "7"].map((digit) => digit.repeat(24));
const PORTS = [7100, 7101, 7102, 22];
const PEERS: readonly PeerFilter[] = [
  { prefix: "2001:db8:33::/48", port: null },
  { prefix: "2001:db8:33:1::/64", port: null },
  { prefix: "2001:db8:44::7/128", port: 5060 },
];
const LIFETIMES = [120, 300, 3600, 100_000];
const NAMES = ["nas", "hub", "tv"];
const LAN_NAMES = ["box31", "box32", "box33"];
const SUBNETS = [
  { name: "home", prefix: "10.59.7.0/24" },
  { name: "den", prefix: "10.59.8.0/24" },
];
const IPV6 = ["2001:db8:5:1:59:1::/96", "2001:db8:5:1:59:2::/96", null];
const ROUTES = [{ prefix: "::/0", interface: "wan0" }];
const DELEGATED = [["192.168.77.31"], ["192.168.77.32/31"], ["10.59.7.0/24"], ["192.168.77.0/24", "10.59.0.0/16"], []];

const lanAddress = (host: number): string => `192.168.77.${host}`;

/** What hosts with IPv6, those that ask in the place of others, and the operators of both want next. */
export function drawRightRequest(chance: Chance, promises: Promises, rights: Rights): Request {
  if (!rights.keyed) return keyed();
  const few = rights.devices.size < 3 || rights.subnets.size === 0;
  const verb = chance.weighted({ map: 24, again: 12, upnp: 14, delegate: 18, operator: few ? 40 : 26, undo: 18 });
  switch (verb) {
    case "map":
      return sentBy(
        chance.happens(0.75) ? mapOf(chance, askerOf(chance, rights)) : mapOf(chance, ipv4Of(chance, rights)),
      );
    case "again":
      return again(chance, promises);
    case "upnp":
      return byUpnp(chance, promises);
    case "delegate":
      return delegated(chance, rights);
    case "undo":
      return undo(chance, rights);
    default: {
      const command = few && chance.happens(0.7) ? drawPlace(chance, rights) : drawOperator(chance, promises, rights);
      return {
        command,
        source: "api:socket",
        ...(chance.happens(0.15) && { confirmWithin: chance.pick([5, 60, 900]) }),
      };
    }
  }
}

const keyed = (): Request => ({
  command: { type: "wireguard.key", publicKey: keyOf(1), privateKeySecret: secretOf(1) },
  source: "controller",
});

const sentBy = (command: Extract<Command, { type: "map" | "unmap" }>): Request => ({
  command,
  source: `pcp:${command.device}`,
});

type Asker = Pick<MapRequest, "interface" | "device" | "host">;

/** An address of IPv6, and what is known of it. */
function askerOf(chance: Chance, rights: Rights): Asker {
  const onSubnet = [...rights.devices.values()].flatMap((device) => rights.ipv6Of(device) ?? []);
  if (onSubnet.length > 0 && chance.happens(0.4)) return { interface: "wg0", device: chance.pick(onSubnet) };
  const host = chance.pick([...LAN_HOSTS, HIDDEN]);
  const device = `${chance.pick(LAN_PREFIXES)}::${host}`;
  return { interface: "lan0", device, host: host === HIDDEN ? null : lanAddress(host) };
}

function ipv4Of(chance: Chance, rights: Rights): Asker {
  const onSubnet = [...rights.devices.values()].filter(({ subnet }) => subnet !== null);
  if (onSubnet.length === 0 || chance.happens(0.5)) {
    return { interface: "lan0", device: lanAddress(chance.pick(LAN_HOSTS)) };
  }
  return { interface: "wg0", device: chance.pick(onSubnet).address };
}

function mapOf(chance: Chance, asker: Asker): MapRequest {
  const internalPort = chance.pick(PORTS);
  const filtered = asker.device.includes(":") && chance.happens(0.5);
  return {
    type: "map",
    by: "pcp",
    clientPort: 40_000,
    protocol: chance.pick([6, 6, 17]),
    internalPort,
    suggestedPort: chance.pick([0, internalPort]),
    suggestedAddress: null,
    lifetime: chance.pick(LIFETIMES),
    nonce: chance.pick(NONCES),
    preferFailure: false,
    filters: filtered ? [...(chance.happens(0.3) ? ["clear" as const] : []), chance.pick(PEERS)] : [],
    portSet: null,
    ...asker,
  };
}

/** In the place of another, mostly by somebody who was let do so. */
function delegated(chance: Chance, rights: Rights): Request {
  const devices = [...rights.devices.values()];
  const speakers = devices.filter(({ mapsFor }) => mapsFor.length > 0);
  const from = speakers.length > 0 && chance.happens(0.9) ? speakers : devices;
  const asker = from.length === 0 ? ipv4Of(chance, rights) : placeOf(chance.pick(from));
  const thirdParty = ipv4Of(chance, rights).device;
  if (chance.happens(0.8)) return sentBy({ ...mapOf(chance, asker), filters: [], thirdParty });
  const common = { type: "unmap", by: "pcp", protocol: 6, internalPort: chance.pick([7100, 0]) } as const;
  return sentBy({ ...asker, ...common, nonce: chance.pick(NONCES), thirdParty });
}

const placeOf = ({ subnet, address }: Entitled): Asker => ({
  interface: subnet === null ? "lan0" : "wg0",
  device: address,
});

const guestsOf = (promises: Promises): PromisedMapping[] =>
  [...promises.mappings.values()].filter(({ internalAddress }) => isGuest(internalAddress));

/** Renews or gives back something that is there. */
function again(chance: Chance, promises: Promises): Request {
  const claims = guestsOf(promises).flatMap((mapping) =>
    [...mapping.claims.values()].filter(({ source }) => source === "pcp").map((claim) => ({ mapping, claim })),
  );
  if (claims.length === 0) return byUpnp(chance, promises);
  const { mapping, claim } = chance.pick(claims);
  const { internalAddress: address, internalPort, protocol, host } = mapping;
  const sender = claim.device ?? address;
  const site = sender.startsWith("10.59.") || sender.startsWith("2001:db8:5:") ? "wg0" : "lan0";
  const asker = {
    interface: site,
    device: sender,
    ...(address.includes(":") && site === "lan0" && { host: host === "::" ? null : host }),
    ...(sender !== address && { thirdParty: address }),
    protocol: protocol === "tcp" ? 6 : 17,
    internalPort,
    nonce: claim.key.slice("pcp:".length),
  } as const;
  if (chance.happens(0.35)) return sentBy({ type: "unmap", by: "pcp", ...asker });
  return sentBy({ ...mapOf(chance, asker), ...asker });
}

/** AddPinhole, UpdatePinhole, DeletePinhole: always over IPv4. */
function byUpnp(chance: Chance, promises: Promises): Request {
  const host = chance.pick(LAN_HOSTS);
  const caller = lanAddress(host);
  const source = `upnp:${caller}`;
  const own = guestsOf(promises)
    .filter((mapping) => mapping.host === caller)
    .flatMap(({ claims }) => [...claims.keys()].filter((key) => key.startsWith("upnp:pinhole:")));
  if (own.length > 0 && chance.happens(0.55)) {
    const place = {
      interface: "lan0",
      caller,
      uniqueId: Number(chance.pick(own).slice("upnp:pinhole:".length)),
    } as const;
    if (chance.happens(0.4)) return { command: { type: "upnpPinholeDelete", ...place }, source };
    return { command: { type: "upnpPinholeUpdate", ...place, host: caller, lifetime: chance.pick(LIFETIMES) }, source };
  }
  const other = chance.happens(0.1) ? chance.pick(LAN_HOSTS) : host;
  const command = {
    type: "upnpPinhole",
    interface: "lan0",
    caller,
    device: `${chance.pick(LAN_PREFIXES)}::${other}`,
    host: lanAddress(other),
    protocol: 6,
    internalPort: chance.pick(PORTS),
    remoteHost: chance.pick([null, null, "2001:db8:33::9"]),
    remotePort: chance.pick([null, null, 5060]),
    lifetime: chance.pick(LIFETIMES),
  } as const;
  return { command, source };
}

/** What changed last is taken back most often. */
function undo(chance: Chance, rights: Rights): Request {
  const [trial] = rights.trials.keys();
  if (trial !== undefined && chance.happens(0.3))
    return { command: { type: "confirmation.give", id: trial }, source: "api:socket" };
  const from = rights.endings.length > 0 && chance.happens(0.6) ? rights.endings : rights.changes;
  const change = chance.happens(0.3) ? rights.changes.at(-1) : chance.pick(from);
  return { command: { type: "revert", seq: change?.seq ?? 1 }, source: "api:socket" };
}

/** A place to be in, or somebody to be there. */
function drawPlace(chance: Chance, rights: Rights): Command {
  if (rights.subnets.size === 0 || chance.happens(0.15)) {
    const ipv6Prefix = chance.pick(IPV6);
    return {
      type: "subnet.add",
      wan: null,
      dns: { mode: "system" },
      routes: ROUTES,
      ipv6Prefix,
      ...chance.pick(SUBNETS),
    };
  }
  const onLan = chance.happens(0.5);
  const index = chance.between(0, 2);
  const subnet = onLan ? null : chance.pick([...rights.subnets.keys()]);
  return {
    type: "device.add",
    name: (onLan ? LAN_NAMES : NAMES)[index] as string,
    kind: "server",
    subnet,
    interface: onLan ? "lan0" : null,
    address: onLan ? lanAddress(LAN_HOSTS[index] as number) : null,
    publicKey: onLan ? null : keyOf(10 + index),
    privateKeySecret: null,
    presharedKeySecret: onLan ? null : secretOf(10 + index),
    mapsFor: chance.pick(DELEGATED),
    ports: chance.pick([null, null, "ask", "off"]),
    dns: null,
    wan: null,
    lifetime: chance.pick([null, null, null, 900]),
    profile: null,
  };
}

function drawOperator(chance: Chance, promises: Promises, rights: Rights): Command {
  const ids = guestsOf(promises).map(({ id }) => id);
  const devices = [...rights.devices.values()];
  const verb = chance.weighted({ place: 10, device: 36, subnet: 16, port: ids.length === 0 ? 0 : 38 });
  if (verb === "port") return drawPort(chance, chance.pick(ids), promises);
  if (verb === "subnet" && rights.subnets.size > 0) return drawSubnet(chance, chance.pick([...rights.subnets.keys()]));
  if (verb === "device" && devices.length > 0) return drawEdit(chance, chance.pick(devices));
  return drawPlace(chance, rights);
}

function drawSubnet(chance: Chance, id: string): Command {
  if (chance.happens(0.15)) return { type: "subnet.remove", id };
  return { type: "subnet.edit", id, ipv6Prefix: chance.pick(IPV6), routes: ROUTES };
}

function drawEdit(chance: Chance, { id, subnet, address }: Entitled): Command {
  const verb = chance.weighted({ right: 26, speaks: 26, moves: 18, allow: 16, remove: 14 });
  switch (verb) {
    case "right":
      return { type: "device.edit", id, ports: chance.pick(["auto", "auto", "ask", "off"]) };
    case "speaks":
      return { type: "device.edit", id, mapsFor: chance.pick(DELEGATED) };
    case "moves": {
      const place = subnet === null ? "192.168.77." : address.slice(0, address.lastIndexOf(".") + 1);
      const host = subnet === null ? chance.pick([...LAN_HOSTS, 34]) : chance.between(2, 6);
      return { type: "device.edit", id, address: `${place}${host}` };
    }
    case "allow":
      return {
        type: "device.allow",
        id,
        protocol: "tcp",
        internalPort: chance.pick(PORTS),
        allowed: chance.happens(0.6),
      };
    default:
      return { type: "device.remove", id };
  }
}

function drawPort(chance: Chance, id: string, { blocks }: Promises): Command {
  const blocked = [...blocks].map((key) => key.split("|")).filter(([device = ""]) => isGuest(device));
  if (blocked.length > 0 && chance.happens(0.3)) {
    const [device = "", protocol = "tcp", port] = chance.pick(blocked);
    return { type: "port.unblock", device, protocol: protocol as "tcp" | "udp", internalPort: Number(port) };
  }
  const verb = chance.weighted({ remove: 12, block: 6, keep: 4, switch: 4 });
  if (verb === "switch") return { type: "port.edit", id, enabled: chance.happens(0.6) };
  return { type: `port.${verb}`, id };
}
