import { selectRoutes } from "../reducers/select/route-rows.ts";
import type { RouteRow } from "../reducers/select/rows.ts";
import type { State } from "../reducers/state.ts";
import type { ReconcilerDefinition } from "./contract.ts";
import { sameRow } from "./same-row.ts";

/** Converges the addresses of our WireGuard interface, and the routes and rules that bear our mark. */
export function routes(): ReconcilerDefinition<State, RouteRow, RouteRow> {
  return {
    name: "routes",
    select: selectRoutes(),
    matches: sameRow,
    policy: "sync",
    refreshMs: 30_000,
    // An interface that is just being made is there within moments.
    retry: { minMs: 100, maxMs: 10_000, jitter: 0.2 },
    // Subnets go with the event that removes them, and there are few: no share of them is suspicious.
    deleteFractionMax: 1,
  };
}
