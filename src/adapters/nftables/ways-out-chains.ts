import { VIA_MASK, viaMark } from "../../lib/via-mark.ts";
import type { ForwardRow } from "../../reducers/select/rows.ts";
import { viaChain } from "./element-columns.ts";
import { hex } from "./marks.ts";
import { interfaces, type SkeletonBuilder } from "./skeleton.ts";

type SkeletonRow = Extract<ForwardRow, { kind: "skeleton" }>;

const marked = (what: "ct" | "meta", number: number): string =>
  `${what} mark set ${what} mark & ${hex(~VIA_MASK)} | ${hex(viaMark(number))}`;
const UNDECIDED = `ct mark & ${hex(VIA_MASK)} == 0`;

/**
 * Where there are several WANs: each flow has one, the one it came in by or the one its first packet was given, for as
 * long as the kernel remembers it. What of it would leave by any WAN is marked, so that a rule finds the right table.
 */
export function addWaysOut(builder: SkeletonBuilder, { wans, lans, vias = [], usualVia }: SkeletonRow): void {
  if (vias.length === 0) return;
  for (const number of vias) builder.chain(viaChain(number), null, [marked("ct", number), marked("meta", number)]);
  const chosen = vias.map((number) => `${hex(viaMark(number))} : goto ${viaChain(number)}`).join(", ");
  builder.chain("choose_via", null, [
    `ct mark & ${hex(VIA_MASK)} vmap { ${chosen} }`,
    "ct state new meta l4proto { tcp, udp } ip saddr . meta l4proto . th sport vmap @port_via",
    "ct state new ip saddr vmap @host_via",
  ]);
  const outside = interfaces(wans);
  // Only the flow is marked: its first packet is for somebody inside.
  const arriving = wans.map((wan, index) => `iifname "${wan}" ${marked("ct", vias[index] as number)}`);
  builder.chain("arriving", null, arriving);
  const leaving = [
    `meta nfproto ipv4 iifname ${outside} ct direction original ${UNDECIDED} jump arriving`,
    `meta nfproto ipv4 iifname != ${outside} fib daddr oifname ${outside} jump choose_via`,
  ];
  if (lans.length > 0) {
    // rp_filter, which is loose on these interfaces, would let it pass: whose source is served is not outside.
    leaving.unshift(`meta nfproto ipv4 iifname ${outside} fib saddr oifname ${interfaces(lans)} drop`);
  }
  if (usualVia !== undefined && lans.length > 0) {
    const unchosen = `meta nfproto ipv4 iifname ${interfaces(lans)} ct state new ${UNDECIDED}`;
    leaving.push(`${unchosen} fib daddr oifname ${outside} goto ${viaChain(usualVia)}`);
  }
  // After DNAT and what undoes it: the address that is routed by is the packet's last one.
  builder.chain("leaving", "filter hook prerouting priority -90", leaving);
  builder.chain("own", "route hook output priority -90", [`meta nfproto ipv4 oifname ${outside} jump choose_via`]);
}
