import { PROXY_PORTS } from "../../lib/proxy-ports.ts";
import { UPNP_HTTP_PORT } from "../../lib/upnp-port.ts";
import { SERVER_PORT } from "../../protocols/pcp/constants.ts";
import { SSDP_PORT } from "../../protocols/upnp/ssdp.ts";
import type { GuardRow } from "../../reducers/select/rows.ts";
import { interfaces, type Skeleton, SkeletonBuilder } from "./skeleton.ts";

export const GUARD_TABLE = "portreeve_guard";
export const ANCHOR_TABLE = "portreeve_anchor";
/** Which station has which address; `GuardNeighbours` fills it. */
export const NEIGHBOURS_SET = "neighbours";

/** SSDP, and where clients of port control listen (RFC 6886 §3.2.1): nothing for a WAN. */
const CLIENT_PORTS = `{ ${SSDP_PORT}, 5350 }`;

/**
 * Limits in the kernel, in devices that ask as often as one may (`requestsPerSecond`, 50 unless set). Measured on two
 * cores that the flood shares, with new PCP mappings from 252 invented addresses: what lets 500 a second in answers a
 * good client within 50 ms, 2,000 within a second, 10,000 (the limits before these) after up to 16. With ten others
 * at work on the same cores 500 take 6 s: a gateway's cores may be as slow, so a station has 200.
 * One station is one link-layer address, whatever source addresses it invents; repeaters stand for several devices.
 */
const STATION_DEVICES = 4;
/** A flood begins with its burst, which is to cost no one else a noticeable wait. */
const STATION_BURST_DEVICES = 2;
/**
 * All senders together that ARP does not know at their station: whoever invents addresses and stations. Who has to ask
 * ARP for the gateway is no stranger, but for the second until the guard hears of it. Some are longer: those that knew
 * the gateway's station before it forgot theirs, and link bonds, which send from another station than they are reached
 * at. A whole network that wakes up with its gateway still comes in within seconds.
 */
const STRANGERS_DEVICES = 2;
/** All neighbours together: at 2,000 a second the process is busy and answers all the same. */
const SHARED_DEVICES = 40;
/** On top, for those who hold a mapping: a crowd of strangers cannot keep them from renewing. */
const HOLDERS_DEVICES = 20;

/**
 * SSDP, of one sender and of all, in packets a second and at once. A device announces itself by some dozens at once, and
 * each of them wakes the process; more than these few searches are not answered anyhow.
 */
const SSDP_SENDER = "50/second burst 200 packets";
const SSDP_ALL = "1000/second burst 1000 packets";

/** Stands before the sockets. Dynamic sets fail open when they are full, so a limit for all stands behind them. */
export function guardSkeleton(row: Extract<GuardRow, { kind: "guard" }>): Skeleton {
  const builder = new SkeletonBuilder(GUARD_TABLE, row.instanceId);
  const counted = "flags dynamic,timeout; timeout 10s; size 65535;";
  builder.set("holders", "type ipv4_addr;");
  builder.set(NEIGHBOURS_SET, "type ether_addr . ipv4_addr;");
  builder.set("stations", `type ether_addr; ${counted}`);
  builder.set("senders", `type ether_addr . ipv4_addr; ${counted}`);
  builder.set("tunnel_senders", `type ipv4_addr; ${counted}`);
  builder.set("searchers", `type ipv4_addr; ${counted}`);
  const { known, requests } = requestRules(row.requestsPerSecond);
  builder.chain("known", null, known);
  builder.chain("requests", null, requests);
  builder.chain("searches", null, [
    `add @searchers { ip saddr limit rate over ${SSDP_SENDER} } drop`,
    `limit rate ${SSDP_ALL} notrack accept`,
    "drop",
  ]);
  builder.chain("prerouting", "filter hook prerouting priority -300", preroutingRules(row));
  builder.chain("output", "filter hook output priority -300", outputRules(row));
  builder.chain("input", "filter hook input priority -10", inputRules(row));
  return builder.build();
}

/**
 * Untracked, or a flood would fill the conntrack table; both directions, or replies would make entries of their own. A
 * sender is an address at a station: who borrows a neighbour's address spends a share of its own, and of what strangers
 * have. Behind the sockets the same address from all stations has room for all of that.
 */
function requestRules(perDevice: number): { known: string[]; requests: string[] } {
  const limit = (devices: number, atOnce = devices): string =>
    `${perDevice * devices}/second burst ${perDevice * atOnce} packets`;
  const known = [
    `limit rate ${limit(SHARED_DEVICES)} notrack accept`,
    `ip saddr @holders limit rate ${limit(HOLDERS_DEVICES)} notrack accept`,
    "drop",
  ];
  const requests = [
    `add @stations { ether saddr limit rate over ${limit(STATION_DEVICES, STATION_BURST_DEVICES)} } drop`,
    // A host invents as many of these addresses as it likes; they have a share of their own, and not one each.
    `meta nfproto ipv6 limit rate ${limit(STRANGERS_DEVICES)} notrack accept`,
    "meta nfproto ipv6 drop",
    `add @senders { ether saddr . ip saddr limit rate over ${limit(1)} } drop`,
    `ether saddr . ip saddr @${NEIGHBOURS_SET} goto known`,
    // A tunnel lets a peer have its own addresses only.
    `meta iiftype != ether add @tunnel_senders { ip saddr limit rate over ${limit(1)} } drop`,
    "meta iiftype != ether goto known",
    `limit rate ${limit(STRANGERS_DEVICES)} notrack accept`,
    "drop",
  ];
  return { known, requests };
}

function preroutingRules({ lans }: { lans: readonly string[] }): string[] {
  if (lans.length === 0) return [];
  const served = `iifname ${interfaces(lans)}`;
  return [
    // Hosts that have no address yet ask from the unspecified one: DHCP, duplicate address detection.
    `${served} ip saddr != 0.0.0.0 fib saddr . iif oif missing drop`,
    `${served} ip6 saddr != :: fib saddr . iif oif missing drop`,
    // To ourselves only: a host may ask a gateway further out, and that needs its NAT.
    `${served} udp dport ${SERVER_PORT} fib daddr type local jump requests`,
    `${served} udp dport ${SSDP_PORT} fib daddr type { local, multicast } jump searches`,
  ];
}

function outputRules({ lans }: { lans: readonly string[] }): string[] {
  return lans.length === 0 ? [] : [`oifname ${interfaces(lans)} udp sport { ${SSDP_PORT}, ${SERVER_PORT} } notrack`];
}

/** In the input hook: in prerouting these would also drop what is about to be DNATed. */
function inputRules({ wans, lans }: { wans: readonly string[]; lans: readonly string[] }): string[] {
  const rules = ['iifname "lo" accept', "ct state established,related accept", "ct status dnat accept"];
  // HAProxy is reached by the ports that are shared, and by none of its own.
  rules.push(`tcp dport { ${[...PROXY_PORTS].join(", ")} } drop`);
  if (lans.length === 0) return rules;
  if (wans.length > 0) {
    // What a neighbour asks for a device that the gateway answers for (NDP proxy) has the device's address.
    rules.push("icmpv6 type nd-neighbor-solicit accept");
    // Linux answers at any of its addresses on any interface, so binding to a LAN address keeps no WAN out.
    const own = "{ local, broadcast, multicast, anycast }";
    rules.push(`iifname ${interfaces(wans)} fib daddr . iif type != ${own} drop`);
    rules.push(`iifname ${interfaces(wans)} udp dport ${CLIENT_PORTS} drop`);
  }
  rules.push(`iifname != ${interfaces(lans)} udp dport ${SERVER_PORT} drop`);
  // Answers to flows of our own, which may have this very port, were let in above.
  rules.push(`iifname != ${interfaces(lans)} tcp dport ${UPNP_HTTP_PORT} drop`);
  return rules;
}

/**
 * Holds the kernel's NAT hooks and connection tracking while others flush the ruleset: without it that ends every
 * NATed flow, even when our tables are back at once. The kernel lets only the owning socket change it, and removes it
 * when that closes. Its chains sit one beside ours so that they can never be the ones to decide.
 */
export function anchorSkeleton(instanceId: string): Skeleton {
  const builder = new SkeletonBuilder(ANCHOR_TABLE, instanceId, " { flags owner; }");
  builder.chain("prerouting", "nat hook prerouting priority -99", ["ct state established accept"]);
  builder.chain("postrouting", "nat hook postrouting priority 101", []);
  return builder.build();
}
