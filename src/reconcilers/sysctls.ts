import { selectSysctls } from "../reducers/select/sysctl-rows.ts";
import type { SysctlRow } from "../reducers/select/rows.ts";
import type { State } from "../reducers/state.ts";
import type { ReconcilerDefinition } from "./contract.ts";

/** Converges the kernel parameters that forwarding needs. */
export function sysctls(): ReconcilerDefinition<State, SysctlRow, string> {
  return {
    name: "sysctls",
    select: selectSysctls(),
    matches: (spec, observed) => spec.value === observed || spec.unless === observed,
    // A value is never put back: it may have become somebody else's.
    policy: "upsert-only",
    refreshMs: 30_000,
    // Mostly it is a container that may not set it at all: said once, tried now and then.
    retry: { minMs: 1000, maxMs: 5 * 60_000, jitter: 0.2 },
    deleteFractionMax: 1,
  };
}
