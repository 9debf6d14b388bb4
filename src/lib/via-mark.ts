/**
 * Where there are several WANs, each has a number from 1 to VIA_MAX: it is in the conntrack mark of the WAN's flows, in
 * the mark of their packets while a route is looked up, and in the id of the WAN's routing table.
 */
export const VIA_MAX = 63;
const SHIFT = 26;
/** Above the bits that nftables rules of ours use; fwmark schemes of others (Tailscale, kube-proxy, mwan3) use lower ones. */
export const VIA_MASK = 0xfc000000;
export const viaMark = (via: number): number => (via << SHIFT) >>> 0;

/**
 * In place of a WAN's number, in the mark of packets that answer a client and are for our HAProxy, which has the client's
 * address: they stay here whatever their destination.
 */
export const RETURN_MARK = 0x01000000;
export const RETURN_MASK = 0xff000000;
