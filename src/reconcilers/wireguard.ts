import type { WireguardRow } from "../reducers/select/rows.ts";
import type { State } from "../reducers/state.ts";
import type { DesiredTable, ReconcilerDefinition } from "./contract.ts";
import { sameRow } from "./same-row.ts";

/** An interface that is down has all its fields and carries nothing. */
export type WireguardObservation =
  | (Extract<WireguardRow, { kind: "link" }> & { readonly up: boolean })
  | Extract<WireguardRow, { kind: "peer" }>;

export const asObserved = (row: WireguardRow): WireguardObservation => (row.kind === "link" ? { ...row, up: true } : row);

/** Converges our WireGuard interface and its peers, by differences only: no tunnel notices another one's change. */
export function wireguard(
  select: (state: State) => DesiredTable<WireguardRow>,
): ReconcilerDefinition<State, WireguardRow, WireguardObservation> {
  return {
    name: "wireguard",
    select,
    matches: (spec, observed) => sameRow(asObserved(spec), observed),
    policy: "sync",
    // The target itself looks twice a second; this is for what it may have overlooked.
    refreshMs: 60_000,
    retry: { minMs: 100, maxMs: 30_000, jitter: 0.2 },
    // Half of all peers gone without an event saying so is a bug or a lost source, not intent.
    deleteFractionMax: 0.5,
  };
}
