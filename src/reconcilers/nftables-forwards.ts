import { forwardDeletionExplained } from "../reducers/select/forward-keys.ts";
import { selectForwards } from "../reducers/select/forward-rows.ts";
import type { ForwardRow } from "../reducers/select/rows.ts";
import type { State } from "../reducers/state.ts";
import type { ReconcilerDefinition } from "./contract.ts";
import { sameRow } from "./same-row.ts";

/** Converges the table `portreeve`: DNAT maps, the outbound map, source ports that are ours, live flows that must end. */
export function nftablesForwards(instanceId: string): ReconcilerDefinition<State, ForwardRow, ForwardRow> {
  return {
    name: "nftables-forwards",
    select: selectForwards(instanceId),
    matches: sameRow,
    policy: "sync",
    // A full listing of 60,000 elements takes seconds; the kernel's generation tells of changes long before.
    refreshMs: 5 * 60_000,
    // nft fails for good reasons (another program's transaction) that pass within moments.
    retry: { minMs: 100, maxMs: 60_000, jitter: 0.2 },
    // Half of all forwards gone without an event saying so is a bug or a lost source, not intent.
    deleteFractionMax: 0.5,
    explained: forwardDeletionExplained,
  };
}
