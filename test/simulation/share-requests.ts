import type { PeerFilter } from "../../src/events/mapping.ts";
import type { Command } from "../../src/reducers/decide/command.ts";
import type { Chance } from "./chance.ts";
import type { Promises } from "./promises.ts";
import type { Request } from "./requests.ts";

/** Those that ask by UPnP, for names, for sets of ports and with filters; the others know nothing of that. */
export const SHARERS = [11, 12, 13].map((host) => `192.168.77.${host}`);
const NONCES = ["1", "2", "3"].map((digit) => digit.repeat(24));
const NAMES = ["a.example.org", "b.example.org", "*.example.org", "c.example.net"];
const SHARED_PORTS = [443, 443, 8443, 80];
const PEERS: readonly PeerFilter[] = [
  { prefix: "203.0.113.0/24", port: null },
  { prefix: "203.0.113.7/32", port: null },
  { prefix: "198.51.100.7/32", port: 5060 },
];
const LIFETIMES = [120, 300, 3600, 100_000];

const ownPort = (chance: Chance): number => chance.between(7000, 7007);

export function drawShareRequest(chance: Chance, promises: Promises): Request {
  const device = chance.pick(SHARERS);
  const verb = chance.weighted({ names: 26, whole: 22, upnp: 22, unmap: 14, "upnp unmap": 6, operator: 16 });
  switch (verb) {
    case "names":
      return { command: mapNames(chance, device), source: `pcp:${device}` };
    case "whole":
      return { command: mapWhole(chance, device), source: `pcp:${device}` };
    case "upnp":
      return { command: mapByUpnp(chance, device), source: `upnp:${device}` };
    case "unmap":
      return { command: unmap(chance, device, promises), source: `pcp:${device}` };
    case "upnp unmap":
      return { command: unmapByUpnp(chance, device, promises), source: `upnp:${device}` };
    default:
      return { command: operators(chance, device, promises), source: "api:socket" };
  }
}

const asked = (chance: Chance, device: string) =>
  ({
    type: "map",
    by: "pcp",
    interface: "lan0",
    device,
    clientPort: 40_000,
    suggestedAddress: null,
    lifetime: chance.pick(LIFETIMES),
    nonce: chance.pick(NONCES),
    preferFailure: false,
    filters: [],
    portSet: null,
  }) as const;

function mapNames(chance: Chance, device: string): Command {
  const names = Array.from({ length: chance.pick([1, 1, 2, 3]) }, () => chance.pick(NAMES));
  const suggestedPort = chance.pick(SHARED_PORTS);
  return {
    ...asked(chance, device),
    protocol: 6,
    internalPort: chance.pick([443, ownPort(chance)]),
    suggestedPort,
    names,
  };
}

function mapWhole(chance: Chance, device: string): Command {
  const kind = chance.weighted({ plain: 4, filtered: 5, set: 4 });
  const shared = chance.happens(0.5);
  const internalPort = shared ? 443 : ownPort(chance);
  return {
    ...asked(chance, device),
    protocol: shared ? 6 : chance.pick([6, 17]),
    internalPort,
    suggestedPort: chance.pick([0, internalPort, shared ? chance.pick(SHARED_PORTS) : ownPort(chance)]),
    filters: kind === "filtered" ? [...(chance.happens(0.3) ? ["clear" as const] : []), chance.pick(PEERS)] : [],
    portSet: kind === "set" ? { size: chance.between(2, 4), parity: chance.happens(0.3) } : null,
  };
}

function mapByUpnp(chance: Chance, device: string): Command {
  const named = chance.happens(0.3);
  const internalPort = ownPort(chance);
  return {
    type: "upnpMap",
    interface: "lan0",
    device,
    protocol: named ? "tcp" : chance.pick(["tcp", "tcp", "udp"]),
    externalPort: named ? chance.pick(SHARED_PORTS) : chance.pick([8443, ownPort(chance), internalPort]),
    any: !named && chance.happens(0.4),
    internalPort,
    remoteHost: named || chance.happens(0.6) ? null : chance.pick(["203.0.113.7", "198.51.100.9"]),
    enabled: chance.happens(0.9),
    description: "",
    lifetime: chance.pick([0, ...LIFETIMES]),
    ...(named && { name: chance.pick(NAMES) }),
  };
}

/** Mostly something that is there. */
function unmap(chance: Chance, device: string, promises: Promises): Command {
  const own = [...promises.mappings.values()].filter(({ internalAddress }) => internalAddress === device);
  const claims = own.flatMap((mapping) =>
    [...mapping.claims.values()].filter(({ source }) => source === "pcp").map(({ key }) => ({ mapping, key })),
  );
  const common = { type: "unmap", by: "pcp", interface: "lan0", device } as const;
  if (claims.length === 0 || chance.happens(0.1)) {
    return { ...common, protocol: chance.pick([0, 6]), internalPort: 0, nonce: chance.pick(NONCES) };
  }
  const { mapping, key } = chance.pick(claims);
  const { protocol, internalPort, name } = mapping;
  const nonce = key.slice("pcp:".length);
  return {
    ...common,
    protocol: protocol === "tcp" ? 6 : 17,
    internalPort,
    nonce,
    ...(name !== null && { names: [name] }),
  };
}

function unmapByUpnp(chance: Chance, device: string, promises: Promises): Command {
  const own = [...promises.mappings.values()].filter(({ internalAddress }) => internalAddress === device);
  const common = { interface: "lan0", device } as const;
  const mapping = own.length === 0 ? undefined : chance.pick(own);
  if (mapping === undefined || chance.happens(0.2)) {
    return { type: "upnpUnmapRange", ...common, protocol: "tcp", firstPort: 7000, lastPort: 7003 };
  }
  const { protocol, externalPort, name } = mapping;
  const remoteHost = name === null && chance.happens(0.3) ? "203.0.113.7" : null;
  return { type: "upnpUnmap", ...common, protocol, externalPort, remoteHost, ...(name !== null && { name }) };
}

function operators(chance: Chance, device: string, promises: Promises): Command {
  const ids = [...promises.mappings.values()].filter(isShared).map(({ id }) => id);
  const verb = ids.length === 0 ? "route" : chance.weighted({ route: 7, forward: 6, remove: 6, switch: 4, keep: 2 });
  if (verb === "remove") return { type: "port.remove", id: chance.pick(ids) };
  if (verb === "keep") return { type: "port.keep", id: chance.pick(ids) };
  if (verb === "switch") return { type: "port.edit", id: chance.pick(ids), enabled: chance.happens(0.6) };
  const isRoute = verb === "route";
  return {
    type: "port.add",
    protocol: "tcp",
    externalPort: chance.pick(SHARED_PORTS),
    count: 1,
    internalAddress: device,
    internalPort: chance.pick([443, 7000]),
    label: null,
    enabled: chance.happens(0.9),
    lifetime: chance.pick([null, null, 300]),
    sourceAddress: null,
    from: isRoute || chance.happens(0.6) ? [] : ["203.0.113.0/24"],
    wan: null,
    name: isRoute ? chance.pick(NAMES) : null,
  };
}

export const isShared = ({ internalAddress }: { readonly internalAddress: string }): boolean =>
  SHARERS.includes(internalAddress);
