/**
 * Bits of the conntrack mark that are ours; all others are left as they are. High bits, because fwmark schemes of
 * others (Tailscale 0xff0000, kube-proxy 0xc000, mwan3 0x3f00) use lower ones.
 */
export const MARK_OURS = 0x01000000;
/** An operator ended this flow: its packets are refused for as long as the kernel remembers it. */
export const MARK_SEVERED = 0x02000000;

export const hex = (mark: number): string => `0x${(mark >>> 0).toString(16).padStart(8, "0")}`;
