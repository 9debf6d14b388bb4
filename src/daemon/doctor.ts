import { configuredTables } from "../adapters/firewall/nftables-conf.ts";
import { withIptables } from "../adapters/firewall/iptables-rules.ts";
import { readListeners } from "../adapters/kernel/listeners.ts";
import type { Links } from "../adapters/kernel/links.ts";
import * as machine from "../adapters/kernel/machine.ts";
import { hasIpv6Default, readAdvertisements } from "../adapters/kernel/router-advertisements.ts";
import { MARK_OURS } from "../adapters/nftables/marks.ts";
import type { LogCondition } from "../api/deps.ts";
import { type Config, isLoopbackHost, parseListen } from "../config/schema.ts";
import type { ControllerPort } from "../controller/port.ts";
import type { Clock } from "../lib/clock.ts";
import { withoutLength } from "../lib/ip.ts";
import type { FilterChain } from "../lib/packet-filter.ts";
import type { ProxyCondition } from "../lib/proxy-condition.ts";
import { tableRows } from "../lib/table.ts";
import { UPNP_HTTP_PORT } from "../lib/upnp-port.ts";
import { SERVER_PORT } from "../protocols/pcp/constants.ts";
import { SSDP_PORT } from "../protocols/upnp/ssdp.ts";
import type { Reconciler } from "../reconcilers/contract.ts";
import type { Finding } from "../reducers/doctor/finding.ts";
import type { FirewallFacts } from "../reducers/doctor/firewalls.ts";
import type { GatewayFacts } from "../reducers/doctor/gateway.ts";
import { judge } from "../reducers/doctor/judge.ts";
import type { MachineFacts, ProgramFacts, SocketFacts, ThreadFacts } from "../reducers/doctor/machine.ts";
import type { Forward, Inside, Service, Served } from "../reducers/doctor/passages.ts";
import { externalAddress } from "../reducers/external-address.ts";
import { freePart, ipv6Place, ipv6PrefixOf } from "../reducers/ipv6-place.ts";
import { proxiedOf } from "../reducers/select/proxied.ts";
import { selectSysctls } from "../reducers/select/sysctl-rows.ts";
import { needsProxy, redirectRivals } from "../reducers/select/proxy-need.ts";
import { unansweredOf } from "../reducers/unanswered.ts";
import { servedInterfaces } from "../reducers/served.ts";
import type { State } from "../reducers/state.ts";
import { dnsListeners, portControlListeners, upnpListeners } from "./served-addresses.ts";

export interface DoctorParts {
  readonly controller: Pick<ControllerPort, "state">;
  readonly clock: Pick<Clock, "now">;
  readonly config: Config;
  readonly reconcilers: readonly Pick<Reconciler, "name" | "health">[];
  readonly condition: () => LogCondition;
  readonly serving: () => {
    readonly links: Links;
    readonly portControl: readonly { readonly address: string }[];
    readonly upnp: readonly { readonly address: string }[];
    readonly dns: readonly { readonly address: string }[];
    readonly dnsThreads: { readonly count: number; readonly reason: string | null };
  };
  /** Null while nothing is led anywhere. */
  readonly proxyCondition: (() => ProxyCondition) | null;
  /** Null while there is no way to the kernel's rulesets. */
  readonly foreignChains: (() => Promise<readonly FilterChain[]>) | null;
}

/** Gathers what there is to know, and judges it. Changes nothing. */
export async function examine(parts: DoctorParts): Promise<Finding[]> {
  const unknown: { check: string; reason: string }[] = [];
  const firewalls = await firewallFacts(parts, unknown);
  return judge({ gateway: gatewayFacts(parts), machine: await machineFacts(parts), firewalls, unknown });
}

async function firewallFacts(parts: DoctorParts, unknown: { check: string; reason: string }[]): Promise<FirewallFacts> {
  const served = servedFacts(parts);
  const cannot = (reason: string): void => void unknown.push({ check: "other-firewalls", reason });
  const configured = await configuredTables();
  if (parts.foreignChains === null) {
    cannot("the controller is in safe mode and does not talk to the kernel");
    return { chains: [], configured, served };
  }
  try {
    const { chains, unread } = await withIptables(await parts.foreignChains());
    for (const reason of unread) cannot(reason);
    return { chains, configured, served };
  } catch (cause) {
    cannot((cause as Error).message);
    return { chains: [], configured, served };
  }
}

function servedFacts({ controller, config, serving }: DoctorParts): Served {
  const { state } = controller;
  const { wireguard, wan } = state.settings;
  const address = (name: string): string | null => addressesOf(state, name)[0] ?? null;
  const all = servedInterfaces(state);
  const inside = all.map(
    ({ interface: name, tunnel }): Inside => ({
      interface: name,
      address: address(name),
      kind: tunnel ? "wireguard" : "lan",
    }),
  );
  const services: Service[] = portControlListeners(state.settings.portControl, all, serving().links).map((listener) => {
    const { interface: name, address: own } = listener;
    const [protocol, port] = ["udp", SERVER_PORT] as const;
    return { name: "port control", interface: name, address: own, protocol, port, tracked: false };
  });
  for (const { interface: name, address: own } of upnpListeners(state.settings.portControl, all, serving().links)) {
    // Searches are untracked, as the guard keeps floods of them out of the table of connections.
    services.push({ name: "UPnP", interface: name, address: own, protocol: "udp", port: SSDP_PORT, tracked: false });
    services.push({
      name: "UPnP",
      interface: name,
      address: own,
      protocol: "tcp",
      port: UPNP_HTTP_PORT,
      tracked: true,
    });
  }
  for (const { interface: name, address: own, port } of dnsListeners(state, serving().links)) {
    if (own.includes(":")) continue;
    for (const protocol of ["udp", "tcp"] as const) {
      services.push({ name: "DNS", interface: name, address: own, protocol, port, tracked: true });
    }
  }
  if (wireguard !== null && state.tunnelled > 0) {
    for (const name of wan.interfaces) {
      const [protocol, port] = ["udp", wireguard.listenPort] as const;
      services.push({ name: "WireGuard", interface: name, address: address(name), protocol, port, tracked: true });
    }
  }
  services.push(...apiServices(config, inside));
  const forwards = forwardsOf(state);
  return { wans: wan.interfaces, inside, services, forwards, proxied: proxiedOf(state), forwardMark: MARK_OURS };
}

/** On loopback no other machine asks. */
function apiServices({ api }: Config, inside: readonly Inside[]): Service[] {
  const listen = api.listen === null ? null : parseListen(api.listen);
  if (listen === null || isLoopbackHost(listen.host)) return [];
  return inside
    .filter(({ address }) => listen.host === "0.0.0.0" || listen.host === "::" || listen.host === address)
    .map(({ interface: name, address }) => {
      const [protocol, port] = ["tcp", listen.port] as const;
      return { name: "the admin API", interface: name, address, protocol, port, tracked: true };
    });
}

function forwardsOf(state: State): Forward[] {
  return [...tableRows(state.mappings)].flatMap((mapping) => {
    const { protocol, internalAddress: address, internalPort: port, interface: name, enabled } = mapping;
    // Of what shares its port by name nothing is forwarded: HAProxy connects to it.
    return enabled && name !== null && mapping.name === null ? [{ protocol, address, port, interface: name }] : [];
  });
}

/** IPv4, without the length of the prefix. */
function addressesOf(state: State, name: string): string[] {
  const addresses = (state.interfaces[name]?.addresses ?? []).filter((cidr) => !cidr.includes(":"));
  return addresses.map(withoutLength);
}

function gatewayFacts({ controller, config, reconcilers, condition, proxyCondition }: DoctorParts): GatewayFacts {
  const { state } = controller;
  const { fault, verification } = condition();
  return {
    fault,
    verification,
    reconcilers: reconcilers.map(({ name, health: { level, message, heldBack } }) => {
      return { name, level, message, heldBack };
    }),
    wans: state.settings.wan.interfaces.map((name) => ({
      interface: name,
      up: state.interfaces[name]?.up ?? false,
      addresses: addressesOf(state, name),
      externalAddress: externalAddress(state, name),
      gateway: state.interfaces[name]?.gateway ?? null,
    })),
    wansNamed: config.wan.interfaces.length > 0,
    listeners: state.listeners,
    ipv6Subnets: ipv6Subnets(state),
    unanswered: [...tableRows(state.mappings)].flatMap((mapping) => unansweredOf(state, mapping) ?? []),
    redirectRivals: redirectRivals(state),
    proxy: proxyCondition !== null && needsProxy(state) ? proxyCondition() : null,
  };
}

function ipv6Subnets(state: State): GatewayFacts["ipv6Subnets"] {
  const wans = state.settings.wan.interfaces;
  const part = wans.map((wan) => freePart(state, wan)).find((each) => each !== null) ?? null;
  return Object.values(state.subnets).flatMap((subnet) => {
    const prefix = ipv6PrefixOf(subnet);
    return prefix === null
      ? []
      : [{ name: subnet.name, prefix: subnet.ipv6Prefix ?? "", place: ipv6Place(state, prefix), part }];
  });
}

async function machineFacts(parts: DoctorParts): Promise<MachineFacts> {
  const { controller, clock, config } = parts;
  const { state } = controller;
  const wanted = state.settings.wireguard !== null && state.tunnelled > 0;
  return {
    sysctls: await machine.readSysctls([...selectSysctls()(state).rows()].map(({ spec }) => spec)),
    programs: await programFacts(wanted),
    wireguard: wanted
      ? {
          module: await machine.hasWireguardModule(),
          userspace: await machine.isProgram("wireguard-go"),
          tun: machine.hasTun(),
        }
      : null,
    clock: { synchronised: machine.isClockSynchronised(), aheadMs: Date.now() - clock.now() },
    disk: await machine.readDisk(config.dataDir).catch(() => null),
    sockets: await socketFacts(parts),
    threads: threadFacts(parts),
    routerAdvertisements: await readAdvertisements(),
    ipv6Default: await hasIpv6Default(),
  };
}

type Needed = Omit<ProgramFacts, "found">;

const PROGRAMS: readonly Needed[] = [
  { name: "ip", package: "iproute2", reason: "interfaces and routes are read by it", required: true },
  { name: "nft", package: "nftables", reason: "exceptions in nftables are added by it", required: false },
  { name: "conntrack", package: "conntrack", reason: "live flows are looked at by it", required: false },
];
const WG: Needed = { name: "wg", package: "wireguard-tools", reason: "it sets up the tunnels", required: true };

async function programFacts(wireguard: boolean): Promise<ProgramFacts[]> {
  const needed = wireguard ? [...PROGRAMS, WG] : PROGRAMS;
  return await Promise.all(needed.map(async (each) => ({ ...each, found: await machine.isProgram(each.name) })));
}

function threadFacts({ serving }: DoctorParts): ThreadFacts[] {
  const { count, reason } = serving().dnsThreads;
  return [{ name: "DNS", losses: count, reason }];
}

async function socketFacts({ controller, serving }: DoctorParts): Promise<SocketFacts[]> {
  const { state } = controller;
  const { links, portControl, upnp, dns } = serving();
  const served = servedInterfaces(state);
  const wanted = portControlListeners(state.settings.portControl, served, links);
  const port = state.settings.dns.listenPort;
  return await Promise.all([
    ...wanted.map(({ address }) => socketFact("port control", address, SERVER_PORT, portControl)),
    ...upnpListeners(state.settings.portControl, served, links).map(({ address }) =>
      socketFact("UPnP", address, UPNP_HTTP_PORT, upnp),
    ),
    ...dnsListeners(state, links).map(({ address }) => socketFact("DNS", address, port, dns)),
  ]);
}

async function socketFact(
  name: string,
  address: string,
  port: number,
  open: readonly { readonly address: string }[],
): Promise<SocketFacts> {
  const facts = { name, address, port };
  if (open.some((each) => each.address === address)) return { ...facts, bound: true, holder: null };
  const sockets = await readListeners([address]);
  // DNS is served by both, or not at all: either may be what is taken.
  const protocols = { DNS: ["udp", "tcp"], UPnP: ["tcp"] }[name] ?? ["udp"];
  const taken = sockets.find((each) => protocols.includes(each.protocol) && each.port === port);
  if (taken === undefined) return { ...facts, bound: false, holder: null };
  const holder = (await machine.holderOf(taken.inode)) ?? "a program that cannot be seen from here";
  return { ...facts, bound: false, holder };
}
