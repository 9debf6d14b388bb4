import { RESERVED_FIRST, RESERVED_LAST } from "../../lib/reserved-ports.ts";
import { RETURN_MARK, RETURN_MASK } from "../../lib/via-mark.ts";
import type { ForwardRow } from "../../reducers/select/rows.ts";
import { hex, MARK_OURS, MARK_SEVERED } from "./marks.ts";
import { interfaces, type Skeleton, SkeletonBuilder } from "./skeleton.ts";
import { addWaysOut } from "./ways-out-chains.ts";

export const FORWARDS_TABLE = "portreeve";

type SkeletonRow = Extract<ForwardRow, { kind: "skeleton" }>;

const TRANSPORT = "meta nfproto ipv4 meta l4proto { tcp, udp }";
const ADDRESS_KEY = "ipv4_addr . inet_proto . inet_service";
const ADDRESS6_KEY = "ipv6_addr . inet_proto . inet_service";
const MARK = `ct mark set ct mark | ${hex(MARK_OURS)}`;
const UNMARK = `ct mark set ct mark & ${hex(~MARK_OURS)}`;
const UNMARKED = `ct mark & ${hex(MARK_OURS)} == 0`;

/** Ports that masquerading gives instead of one that is ours. */
const SHADOW_PORTS = `${RESERVED_FIRST}-${RESERVED_LAST}`;

/**
 * DNAT by one map lookup however many forwards there are. Statements of a rule run left to right and a map miss ends
 * the rule, so each NAT rule marks first and a last rule takes the mark back.
 */
export function forwardsSkeleton(row: SkeletonRow): Skeleton {
  const builder = new SkeletonBuilder(FORWARDS_TABLE, row.instanceId);
  builder.map("forwards", `type ${ADDRESS_KEY} : ipv4_addr . inet_service;`);
  builder.map("ranges", `type ${ADDRESS_KEY} : ipv4_addr; flags interval;`);
  builder.map("outbound", `type ${ADDRESS_KEY} : ipv4_addr . inet_service;`);
  builder.set("ours", "type inet_proto . inet_service;");
  builder.map("egress", "type ipv4_addr : ipv4_addr;");
  builder.set("restricted", `type ${ADDRESS_KEY}; flags interval;`);
  builder.set("allowed", `type ${ADDRESS_KEY} . ipv4_addr; flags interval;`);
  builder.set("allowed_ports", `type ${ADDRESS_KEY} . ipv4_addr . inet_service; flags interval;`);
  builder.set("visited", `type ${ADDRESS_KEY};`);
  builder.set("pinholes", `type ${ADDRESS6_KEY};`);
  builder.set("pinholes_from", `type ${ADDRESS6_KEY} . ipv6_addr; flags interval;`);
  builder.set("pinholes_from_ports", `type ${ADDRESS6_KEY} . ipv6_addr . inet_service; flags interval;`);
  builder.map("host_via", "type ipv4_addr : verdict;");
  builder.map("port_via", `type ${ADDRESS_KEY} : verdict;`);

  const external = "ip daddr . meta l4proto . th dport";
  builder.chain("inward", null, [
    `${TRANSPORT} ${external} @restricted ${external} . ip saddr != @allowed ${external} . ip saddr . th sport != @allowed_ports return`,
    `${TRANSPORT} ${MARK} dnat ip to ${external} map @forwards`,
    `${TRANSPORT} ${MARK} dnat ip to ${external} map @ranges`,
    UNMARK,
  ]);
  builder.chain("prerouting", "nat hook prerouting priority -100", ["meta nfproto ipv4 jump inward"]);
  // What the gateway itself sends to its external address goes the same way.
  builder.chain("output", "nat hook output priority -100", ["meta nfproto ipv4 jump inward"]);
  builder.chain("outward", null, outwardRules(row.lans));
  builder.chain("postrouting", "nat hook postrouting priority 100", postroutingRules(row));
  builder.chain("shadow", "filter hook postrouting priority 101", shadowRules(row));
  builder.chain("forward", "filter hook forward priority 0", forwardRules(row));
  if (row.proxied === true && row.lans.length > 0) addReturnPath(builder, row.lans);
  addWaysOut(builder, row);
  return builder.build();
}

/** What a target answers a client whose address HAProxy has: a rule of ours looks the mark up, and keeps it here. */
function addReturnPath(builder: SkeletonBuilder, lans: readonly string[]): void {
  // Not what listens for everything: that would be another program's, and these packets are of a connection.
  const ours = "meta nfproto ipv4 meta l4proto tcp socket transparent 1 socket wildcard 0";
  const mark = `meta mark set meta mark & ${hex(~RETURN_MASK)} | ${hex(RETURN_MARK)}`;
  builder.chain("returning", "filter hook prerouting priority -150", [`iifname ${interfaces(lans)} ${ours} ${mark}`]);
}

function postroutingRules({ wans, lans }: { wans: readonly string[]; lans: readonly string[] }): string[] {
  const ours = `ct mark & ${hex(MARK_OURS)} != 0`;
  const rules = [`${TRANSPORT} ${ours} ct status dnat ip daddr . meta l4proto . th dport @visited masquerade`];
  if (lans.length > 0) {
    // Hairpin within one segment: without this the target answers the client directly, from an address it never asked.
    const pairs = lans.map((lan) => `"${lan}" . "${lan}"`).join(", ");
    rules.push(`meta nfproto ipv4 iifname . oifname { ${pairs} } ${ours} masquerade`);
  }
  if (wans.length > 0) rules.push(`meta nfproto ipv4 oifname ${interfaces(wans)} jump outward`);
  return rules;
}

function outwardRules(lans: readonly string[]): string[] {
  const rules = [
    `${TRANSPORT} ${MARK} snat ip to ip saddr . meta l4proto . th sport map @outbound`,
    // A flow that was DNATed keeps the mark that says so.
    `ct status & dnat == 0 ${UNMARK}`,
  ];
  if (lans.length === 0) return rules;
  const served = `iifname ${interfaces(lans)}`;
  // Port shadowing (CVE-2021-3773): a host that sends from a port of ours would receive what is meant for us.
  const shadowing = `${served} ${TRANSPORT} meta l4proto . th sport @ours`;
  // A device with a WAN of its own leaves from that one's address; the map misses all others.
  rules.push(`${shadowing} snat ip to ip saddr map @egress : ${SHADOW_PORTS}`);
  rules.push(`${served} meta nfproto ipv4 snat ip to ip saddr map @egress`);
  rules.push(`${shadowing} masquerade to :${SHADOW_PORTS}`);
  rules.push(`${served} masquerade`);
  return rules;
}

/**
 * When the wanted source port is taken, NAT picks another from all of 1024–65535, ours included, and a host
 * may provoke that. Such a first packet is dropped; the sender's next try gets another port.
 */
function shadowRules({ wans, lans }: { wans: readonly string[]; lans: readonly string[] }): string[] {
  if (wans.length === 0 || lans.length === 0) return [];
  const masqueraded = `iifname ${interfaces(lans)} oifname ${interfaces(wans)} ct state new ${UNMARKED}`;
  return [`${masqueraded} ${TRANSPORT} meta l4proto . th sport @ours drop`];
}

function forwardRules({ wans, lans, tunnel }: SkeletonRow): string[] {
  const severed = `ct mark & ${hex(MARK_SEVERED)} != 0`;
  const rules = [`${severed} meta l4proto tcp reject with tcp reset`, `${severed} drop`];
  if (tunnel !== undefined) {
    // WireGuard lets a device have its own addresses only; a packet from elsewhere that has one of them is forged.
    rules.push(`meta nfproto ipv6 iifname != "${tunnel}" fib saddr oifname "${tunnel}" drop`);
    // Before what is accepted: the answer to a SYN is clamped too. The route's MTU is the smaller of both directions'.
    const clamp = "tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu";
    rules.push(`iifname "${tunnel}" ${clamp}`, `oifname "${tunnel}" ${clamp}`);
  }
  rules.push("ct state established,related accept");
  if (lans.length === 0) return rules;
  // RFC 4890 §4.3.1: without these errors IPv6 paths break; neighbour discovery is never ours to judge.
  const vital =
    "destination-unreachable, packet-too-big, time-exceeded, parameter-problem, nd-router-solicit, nd-router-advert, " +
    "nd-neighbor-solicit, nd-neighbor-advert";
  rules.push(`icmpv6 type { ${vital} } accept`);
  rules.push(`icmpv6 type echo-request limit rate ${ECHOES_PER_SECOND}/second accept`);
  rules.push(...pinholeRules(interfaces(lans)));
  if (wans.length > 0) {
    // Also what another program DNATed: a served segment is reached from a WAN by our mappings alone.
    rules.push(`iifname ${interfaces(wans)} oifname ${interfaces(lans)} ${UNMARKED} drop`);
  }
  if (tunnel !== undefined) rules.push(...tunnelIpv6Rules(tunnel, interfaces(lans)));
  return rules;
}

/**
 * What is let in as it is, to an address of its own, keeps the mark that says so: an operator's no ends it. Among those
 * that are served nothing has to be let in.
 */
function pinholeRules(served: string): string[] {
  const strange = `meta nfproto ipv6 meta l4proto { tcp, udp } iifname != ${served} oifname ${served}`;
  const internal = "ip6 daddr . meta l4proto . th dport";
  return [
    `${strange} ${internal} @pinholes ${MARK} accept`,
    `${strange} ${internal} . ip6 saddr @pinholes_from ${MARK} accept`,
    `${strange} ${internal} . ip6 saddr . th sport @pinholes_from_ports ${MARK} accept`,
  ];
}

/** RFC 4890 §4.3.1 lets strangers ping, as nobody can try all addresses of a /64; as many as OpenWrt does. */
const ECHOES_PER_SECOND = 1000;

/** No NAT stands before a device's IPv6 address: whoever is not served begins nothing there, by whatever interface. */
function tunnelIpv6Rules(tunnel: string, served: string): string[] {
  return [
    `meta nfproto ipv6 oifname "${tunnel}" iifname != ${served} drop`,
    // RFC 4193 §4.3: unique local addresses stay within the site; the sender hears of it and takes IPv4.
    `iifname "${tunnel}" oifname != ${served} ip6 saddr ${UNIQUE_LOCAL} reject with icmpv6 type admin-prohibited`,
  ];
}

const UNIQUE_LOCAL = "fc00::/7";
