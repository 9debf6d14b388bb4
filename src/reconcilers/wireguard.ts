import type { WireguardRow } from "../reducers/select/rows.ts";
import { selectWireguard } from "../reducers/select/wireguard-rows.ts";
import type { State } from "../reducers/state.ts";
import type { ReconcilerDefinition } from "./contract.ts";
import { sameRow } from "./same-row.ts";

/** An interface that is down has all its fields and carries nothing. */
export type WireguardObservation =
  | (Extract<WireguardRow, { kind: "link" }> & { readonly up: boolean })
  | Extract<WireguardRow, { kind: "peer" }>;

/** Converges our WireGuard interface and its peers, by differences only: no tunnel notices another one's change. */
export function wireguard(): ReconcilerDefinition<State, WireguardRow, WireguardObservation> {
  return {
    name: "wireguard",
    select: selectWireguard(),
    matches: (spec, observed) => sameRow(spec.kind === "link" ? { ...spec, up: true } : spec, observed),
    policy: "sync",
    // The target itself looks twice a second; this is for what it may have overlooked.
    refreshMs: 60_000,
    retry: { minMs: 100, maxMs: 30_000, jitter: 0.2 },
    // A removed device must be out, also when we were killed before its peer went: better a tunnel too few than one too many.
    deleteFractionMax: 1,
  };
}
