import { selectGuard } from "../reducers/select/guard-rows.ts";
import type { GuardRow } from "../reducers/select/rows.ts";
import type { State } from "../reducers/state.ts";
import type { ReconcilerDefinition } from "./contract.ts";
import { sameRow } from "./same-row.ts";

/** Converges the guard in front of our sockets, the sources it keeps a share for, and the anchor of live flows. */
export function nftablesGuard(instanceId: string): ReconcilerDefinition<State, GuardRow, GuardRow> {
  return {
    name: "nftables-guard",
    select: selectGuard(instanceId),
    matches: sameRow,
    policy: "sync",
    refreshMs: 60_000,
    retry: { minMs: 100, maxMs: 10_000, jitter: 0.2 },
    // Each new device is a holder: a whole network that asks at once shall not cost a transaction for each.
    lagMs: 100,
    // Holders come and go with leases that may end during a downtime; a holder too few costs nobody a forward.
    deleteFractionMax: 1,
  };
}
