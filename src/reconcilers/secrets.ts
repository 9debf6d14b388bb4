import type { SecretRow } from "../reducers/select/rows.ts";
import { selectSecrets } from "../reducers/select/secret-rows.ts";
import type { State } from "../reducers/state.ts";
import type { ReconcilerDefinition } from "./contract.ts";
import { sameRow } from "./same-row.ts";

/** Erases sealed secrets that nothing names any more: of devices that went, of passwords that were replaced. */
export function secrets(): ReconcilerDefinition<State, SecretRow, SecretRow> {
  return {
    name: "secrets",
    select: selectSecrets(),
    matches: sameRow,
    policy: "sync",
    refreshMs: 10 * 60_000,
    retry: { minMs: 1000, maxMs: 60_000, jitter: 0.2 },
    // The log that names them was verified; a secret that outlives its device is the worse mistake.
    deleteFractionMax: 1,
  };
}
