import { sha256 } from "@noble/hashes/sha2.js";
import { utf8ToBytes } from "@noble/hashes/utils.js";
import { ownRow } from "../../lib/own-row.ts";
import { event, type PortreeveEvent } from "../../events/index.ts";
import type { SubnetDns } from "../../events/subnet.ts";
import { parseUpstream, upstreamsFault } from "../../lib/dns-upstream.ts";
import { firstHost, formatIpv4, type Ipv4Prefix, parseIpv4Prefix, prefixText, prefixesOverlap } from "../../lib/ip.ts";
import { isReverseName } from "../../lib/reverse-name.ts";
import { tableGet, tableRows } from "../../lib/table.ts";
import type { Device, State, Subnet } from "../state.ts";
import { viewsOf, viewWithId } from "../dns-view.ts";
import { subnetNamed } from "../subnet.ts";
import type { Decision, Refusal, SubmissionOf } from "./command.ts";
import { blocksReaddressed } from "./device-blocks.ts";
import { closePinholes, removal, rekeyed } from "./device-ports.ts";
import { eachClaimOnce } from "./in-their-place.ts";
import { markOf } from "./mark.ts";
import { hidesStrangers, isSpecialName } from "./dns-scope.ts";
import { newId } from "./new-id.ts";
import { accept, refuse } from "./refusal.ts";
import { badIpv6Prefix, canonicalPrefix } from "./subnet-ipv6.ts";
import { unknownWan } from "./wan.ts";

/** A route of the machine, as far as a new subnet must not hide it. */
export interface KnownRoute {
  /** "192.168.7.0/24". */
  readonly prefix: string;
  readonly interface: string;
}

export type SubnetCommand =
  | {
      readonly type: "subnet.add";
      readonly name: string;
      /** Any address of it, with the prefix length; null: one that nothing uses is chosen. */
      readonly prefix: string | null;
      readonly wan: string | null;
      readonly ipv6Prefix: string | null;
      readonly dns: SubnetDns;
      /** Its devices' names are below it; null: one is made of its name. */
      readonly zone?: string | null;
      /** What the kernel routes now. */
      readonly routes: readonly KnownRoute[];
      /** The declaration that it is of. */
      readonly managedBy?: string;
    }
  | ({
      readonly type: "subnet.edit";
      readonly id: string;
      /** What the kernel routes now, for a new IPv6 prefix. */
      readonly routes?: readonly KnownRoute[];
    } & Partial<SubnetFields>)
  | { readonly type: "subnet.remove"; readonly id: string };

type SubnetFields = Pick<Subnet, "name" | "wan" | "ipv6Prefix" | "dns" | "zone">;
/** Longer ones have no room for us and a device; shorter ones are a mistake in typing. */
const LENGTH_MIN = 8;
const LENGTH_MAX = 30;
const SUBNETS_MAX = 256;

export function decideSubnetAdd(command: SubmissionOf<"subnet.add">, state: State): Decision {
  const { name, wan, dns, routes, zone = null } = command;
  const ipv6Prefix = command.ipv6Prefix === null ? null : canonicalPrefix(command.ipv6Prefix);
  if (Object.keys(state.subnets).length >= SUBNETS_MAX) {
    return refuse("QUOTA_EXCEEDED", `there are ${SUBNETS_MAX} subnets, as many as there may be; remove one first`);
  }
  const bad = badName(state, name, null) ?? badFields(state, { wan, ipv6Prefix, dns, zone }, null, routes);
  if (bad !== null) return { ok: false, refusal: bad };
  const chosen = command.prefix === null ? freePrefix(command, state) : placeOf(command.prefix);
  if ("code" in chosen) return { ok: false, refusal: chosen };
  const hit = overlapOf(state, chosen, command.routes);
  if (hit !== null) {
    const message = `${prefixText(chosen)} overlaps ${hit}; choose another prefix, as in 10.59.7.0/24`;
    return refuse("CONFLICT", message);
  }
  const id = newId("n", state, command);
  const prefix = `${formatIpv4(chosen.address)}/${chosen.length}`;
  const added = { id, name, prefix, wan, ipv6Prefix, dns, zone, ...markOf(command) };
  return accept([event("subnet.added", added)], { kind: "ids", ids: [id] });
}

function placeOf(text: string): Ipv4Prefix | Refusal {
  const prefix = parseIpv4Prefix(text);
  if (prefix === null) return invalid(`${text} is not a prefix, as in 10.59.7.0/24`);
  if (prefix.length > LENGTH_MAX) return invalid(`${text} has no room for the gateway and a device; use /24`);
  if (prefix.length < LENGTH_MIN) return invalid(`${text} is a large part of the internet; use /24`);
  return firstHost(prefix);
}

/**
 * 10.59.x.0/24, as the reference has it; x by the gateway's key, so that two gateways hardly choose the same and that a
 * plan chooses what is then done; from there the next one that is free.
 */
function freePrefix({ routes }: SubmissionOf<"subnet.add">, state: State): Ipv4Prefix | Refusal {
  const [first = 0] = sha256(utf8ToBytes(state.wireguard?.publicKey ?? ""));
  for (let step = 0; step < 256; step += 1) {
    const prefix = firstHost(parseIpv4Prefix(`10.59.${(first + step) % 256}.0/24`) as Ipv4Prefix);
    if (overlapOf(state, prefix, routes) === null) return prefix;
  }
  return { code: "CONFLICT", message: "all of 10.59.0.0/16 is in use; name a prefix that is free" };
}

/** What a prefix would hide or be hidden by, by its name; null: nothing. */
export function overlapOf(state: State, prefix: Ipv4Prefix, routes: readonly KnownRoute[]): string | null {
  for (const subnet of Object.values(state.subnets)) {
    if (prefixesOverlap(prefix, parseIpv4Prefix(subnet.prefix) as Ipv4Prefix)) {
      return `the subnet ${subnet.name} (${subnet.prefix})`;
    }
  }
  const own = state.settings.wireguard?.interface;
  for (const link of Object.values(state.interfaces)) {
    // What is on our own interface is a subnet's, or was: it is not looked at while no device needs it.
    if (link.name === own) continue;
    for (const cidr of link.addresses) {
      const other = parseIpv4Prefix(cidr);
      if (other !== null && prefixesOverlap(prefix, other)) return `the network of ${link.name} (${cidr})`;
    }
  }
  for (const route of routes) {
    const other = parseIpv4Prefix(route.prefix);
    // The default route is hidden by every prefix, and is meant to be.
    if (other === null || other.length === 0 || route.interface === own) continue;
    if (prefixesOverlap(prefix, other)) return `the route ${route.prefix} by ${route.interface}`;
  }
  return null;
}

export function decideSubnetEdit(command: SubmissionOf<"subnet.edit">, state: State): Decision {
  const subnet = ownRow(state.subnets, command.id);
  if (subnet === undefined) return unknownSubnet(command.id);
  const fields = changedFields(command, subnet);
  const answer = { kind: "ids", ids: [subnet.id] } as const;
  if (Object.keys(fields).length === 0) return accept([], answer);
  const bad =
    (fields.name === undefined ? null : badName(state, fields.name, subnet.id)) ??
    badFields(state, fields, subnet.id, command.routes ?? []);
  if (bad !== null) return { ok: false, refusal: bad };
  const devices = devicesOf(state, subnet.id);
  const moved = fields.wan === undefined ? [] : rekeyed({ state, command }, devices, { ...subnet, ...fields });
  if ("code" in moved) return { ok: false, refusal: moved };
  const closed = fields.ipv6Prefix === undefined ? [] : readdressed(state, devices, { ...subnet, ...fields });
  return accept([...closed, event("subnet.changed", { id: subnet.id, ...fields }), ...moved], answer);
}

/** Devices of a subnet cease to have the IPv6 addresses that they had. */
function readdressed(state: State, devices: readonly Device[], subnet: Subnet): PortreeveEvent[] {
  return [...closePinholes(state, devices), ...blocksReaddressed(state, devices, subnet)];
}

function changedFields(command: SubmissionOf<"subnet.edit">, subnet: Subnet): Partial<SubnetFields> {
  const fields = ["name", "wan", "ipv6Prefix", "dns", "zone"] as const;
  const prefix = command.ipv6Prefix;
  const wanted = { ...command, ...(typeof prefix === "string" && { ipv6Prefix: canonicalPrefix(prefix) }) };
  const changed = fields.filter(
    (field) => wanted[field] !== undefined && JSON.stringify(wanted[field]) !== JSON.stringify(subnet[field]),
  );
  return Object.fromEntries(changed.map((field) => [field, wanted[field]])) as Partial<SubnetFields>;
}

/** Its devices, what leads to them and what was published for them alone go with it. */
export function decideSubnetRemove(command: SubmissionOf<"subnet.remove">, state: State): Decision {
  const subnet = ownRow(state.subnets, command.id);
  if (subnet === undefined) return unknownSubnet(command.id);
  const gone = devicesOf(state, subnet.id).flatMap((device) => removal(state, device, "subnet"));
  const events = eachClaimOnce(gone);
  events.push(...seenThereAlone(state, subnet.id), event("subnet.removed", { id: subnet.id }));
  return accept(events, { kind: "ids", ids: [subnet.id] });
}

/** Operators' records that nobody sees once it is gone. */
function seenThereAlone(state: State, subnet: string): PortreeveEvent[] {
  const isGone = (view: string): boolean => view === subnet || viewWithId(state, view) === undefined;
  return [...tableRows(state.names)]
    .filter(({ views }) => views?.includes(subnet) === true && views.every(isGone))
    .flatMap(({ records }) => records.map(({ id }) => event("record.removed", { id, reason: "operator" })));
}

export function devicesOf(state: State, subnet: string): Device[] {
  return [...tableRows(state.devices)]
    .filter((device) => device.subnet === subnet)
    .sort((a, b) => a.createdSeq - b.createdSeq);
}

function badName(state: State, name: string, self: string | null): Refusal | null {
  const same = subnetNamed(state, name);
  if (same === undefined || same.id === self) return null;
  return { code: "CONFLICT", message: `there is a subnet ${same.name} (${same.prefix}) already; names are unique` };
}

function badFields(
  state: State,
  fields: Partial<SubnetFields>,
  self: string | null,
  routes: readonly KnownRoute[],
): Refusal | null {
  const { wan, ipv6Prefix, dns, zone } = fields;
  if (wan !== undefined && wan !== null) {
    const bad = unknownWan(state, wan);
    if (bad !== null) return bad;
  }
  if (ipv6Prefix !== undefined && ipv6Prefix !== null) {
    const bad = badIpv6Prefix(state, ipv6Prefix, self, routes);
    if (bad !== null) return bad;
  }
  if (zone != null && (zone === "." || isReverseName(zone) || isSpecialName(zone) || isDelegated(state, zone))) {
    return invalid(`${zone} can't be the zone of a subnet; name one that is nobody's yet, as in home.internal`);
  }
  if (zone != null && hidesStrangers(state, zone)) {
    return invalid(
      `${zone} is where others register names: all of them would be answered by this gateway alone, and not be found; name ` +
        "one of your own below it, as in home.example.org; if it is nobody's, list it under dns.privateZones",
    );
  }
  const fault = dns?.mode === "custom" ? (upstreamsFault(dns.servers) ?? asksItself(state, dns.servers)) : null;
  if (fault !== null) return invalid(fault);
  if (dns?.mode === "device" && (self === null || !devicesOf(state, self).some(({ id }) => id === dns.device))) {
    const device = tableGet(state.devices, dns.device)?.name ?? dns.device;
    return invalid(`${device} is no device of this subnet, so it cannot answer its queries; name one that is`);
  }
  return null;
}

const isDelegated = (state: State, zone: string): boolean => tableGet(state.delegations, zone) !== undefined;

/** A resolver that forwards to itself answers nobody. */
function asksItself(state: State, servers: readonly string[]): string | null {
  const own = new Set(viewsOf(state).flatMap((view) => view.servers));
  const itself = servers.find((text) => {
    const parsed = parseUpstream(text);
    if ("fault" in parsed || parsed.upstream.server.kind !== "plain") return false;
    const { address, port } = parsed.upstream.server;
    return own.has(address) && port === state.settings.dns.listenPort;
  });
  return itself === undefined
    ? null
    : `${itself} is this gateway's own resolver, which would ask itself; name another, or \`system\``;
}

const invalid = (message: string): Refusal => ({ code: "INVALID_REQUEST", message });

function unknownSubnet(id: string): Decision {
  return refuse("NOT_FOUND", `there is no subnet ${id}; \`portreeve subnet list\` shows those there are`);
}
