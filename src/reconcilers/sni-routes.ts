import type { ProxyRow, SniRow } from "../lib/sni-row.ts";
import type { DesiredTable } from "../reducers/select/desired.ts";
import type { State } from "../reducers/state.ts";
import type { ReconcilerDefinition } from "./contract.ts";
import { sameRow } from "./same-row.ts";

export type SniObservation =
  /** `current`: it runs with the configuration that this version writes. */
  | (ProxyRow & { readonly current: boolean })
  | Exclude<SniRow, ProxyRow>
  /** What none of our rows can have put there. Key: `stray|map|reference`. */
  | { readonly kind: "stray"; readonly map: string; readonly reference: string };

/** Converges our HAProxy: that it runs, and the routes and redirects in its maps. It is never reloaded for a route. */
export function sniRoutes(
  select: (state: State) => DesiredTable<SniRow>,
): ReconcilerDefinition<State, SniRow, SniObservation> {
  return {
    name: "sni-routes",
    select,
    matches: (spec, observed) => sameRow(spec.kind === "proxy" ? { ...spec, current: true } : spec, observed),
    policy: "sync",
    // The target itself looks twice a second; this is for what it may have overlooked.
    refreshMs: 60_000,
    // One that was killed is back before a client has tried twice.
    retry: { minMs: 100, maxMs: 30_000, jitter: 0.2 },
    // A route that was released while we were down leads somewhere that nobody promised any more.
    deleteFractionMax: 1,
  };
}
