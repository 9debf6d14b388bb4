import type { Claim, PeerFilter } from "../events/mapping.ts";
import { parseIpv4Prefix, prefixContains } from "../lib/ip.ts";
import { ipv6Contains, isIpv6, parseIpv6Prefix } from "../lib/ipv6.ts";
import type { Mapping } from "./state.ts";

type Reached = Pick<Mapping, "enabled" | "claims">;

/** Whether anything is forwarded: no operator has switched it off, and somebody who asked for it wants it now. */
export const isOpen = ({ enabled, claims }: Reached): boolean => enabled && claims.some((claim) => claim.enabled);

/** Whom claims want to be reached by, all together: null, nobody; empty, everyone. Each filter once, in an order of theirs. */
export function wantedPeers(claims: readonly Claim[]): readonly PeerFilter[] | null {
  const enabled = claims.filter((claim) => claim.enabled);
  if (enabled.length === 0) return null;
  if (enabled.some(({ filters }) => filters.length === 0)) return [];
  const each = new Map(enabled.flatMap(({ filters }) => filters.map((filter) => [filterText(filter), filter])));
  return [...each].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, filter]) => filter);
}

/**
 * Whom an open mapping lets in: who is wanted by any of its claims, as far as its operator has it reached; null: everyone.
 * None of them is within another, as elements of one set of the kernel must not overlap.
 */
export function admittedPeers({ from, claims }: Pick<Mapping, "from" | "claims">): readonly PeerFilter[] | null {
  const wanted = wantedPeers(claims) ?? [];
  const anyone = from.map((prefix) => ({ prefix, port: null }));
  if (wanted.length === 0) return anyone.length === 0 ? null : anyone;
  const cut =
    from.length === 0 ? wanted : wanted.flatMap((peer) => from.flatMap((prefix) => within(peer, prefix) ?? []));
  const peers = withoutNested(cut);
  return peers.some(({ prefix, port }) => port === null && prefix.endsWith("/0")) ? null : peers;
}

const lengthOf = (prefix: string): number => Number(prefix.slice(prefix.indexOf("/") + 1));

/** Of two families none is within another. */
const isWithin = (inner: string, outer: string): boolean => {
  if (isIpv6(inner) && isIpv6(outer)) {
    const [narrow, wide] = [parseIpv6Prefix(inner), parseIpv6Prefix(outer)];
    return narrow !== null && wide !== null && ipv6Contains(wide, narrow);
  }
  const [narrow, wide] = [parseIpv4Prefix(inner), parseIpv4Prefix(outer)];
  if (narrow === null || wide === null) return false;
  return narrow.length >= wide.length && prefixContains(wide, narrow.address);
};

/** What of a filter is in a network: of two networks one is within the other, or they have nothing in common. */
function within(peer: PeerFilter, prefix: string): PeerFilter | null {
  if (isWithin(peer.prefix, prefix)) return peer;
  return isWithin(prefix, peer.prefix) ? { prefix, port: peer.port } : null;
}

function withoutNested(peers: readonly PeerFilter[]): PeerFilter[] {
  const kept: PeerFilter[] = [];
  const wideFirst = peers.toSorted((a, b) => lengthOf(a.prefix) - lengthOf(b.prefix));
  const anyPortFirst = wideFirst.toSorted((a, b) => Number(a.port !== null) - Number(b.port !== null));
  for (const peer of anyPortFirst) {
    const covers = (other: PeerFilter): boolean => other.port === null || other.port === peer.port;
    if (!kept.some((other) => covers(other) && isWithin(peer.prefix, other.prefix))) kept.push(peer);
  }
  return kept;
}

/** "203.0.113.0/24", "198.51.100.7/32:5060", "[2001:db8::7/128]:5060". */
export const filterText = ({ prefix, port }: PeerFilter): string =>
  port === null ? prefix : `${isIpv6(prefix) ? `[${prefix}]` : prefix}:${port}`;

/** Whether two lists name the same, in the same order. */
export const sameFilters = (left: readonly PeerFilter[], right: readonly PeerFilter[]): boolean =>
  left.map(filterText).join() === right.map(filterText).join();

/** Whether other claims on a mapping let others in by it than before. */
export function reachDiffers(before: readonly Claim[], after: readonly Claim[]): boolean {
  const textOf = (claims: readonly Claim[]): string | undefined => wantedPeers(claims)?.map(filterText).join();
  return textOf(before) !== textOf(after);
}
