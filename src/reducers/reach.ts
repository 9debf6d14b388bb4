import type { Claim, PeerFilter } from "../events/mapping.ts";
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

/** "203.0.113.0/24", "198.51.100.7/32:5060". */
export const filterText = ({ prefix, port }: PeerFilter): string => (port === null ? prefix : `${prefix}:${port}`);

/** Whether other claims on a mapping let others in by it than before. */
export function reachDiffers(before: readonly Claim[], after: readonly Claim[]): boolean {
  const textOf = (claims: readonly Claim[]): string | undefined => wantedPeers(claims)?.map(filterText).join();
  return textOf(before) !== textOf(after);
}
