import type { State } from "../reducers/state.ts";
import type { DesiredSource } from "./deps.ts";
import type { PlanCheck, RowChange } from "./schemas/plan.ts";

/** Lets each target that a plan changes say whether it would take it. One that cannot be asked says nothing. */
export async function checksOf(
  changes: readonly RowChange[],
  after: State,
  sources: readonly DesiredSource[],
): Promise<PlanCheck[]> {
  const concerned = new Set(changes.map(({ reconciler }) => reconciler));
  const checks: PlanCheck[] = [];
  for (const { reconciler, rehearse } of sources) {
    if (rehearse === undefined || !concerned.has(reconciler)) continue;
    try {
      const refused = await rehearse(after);
      if (refused === undefined) continue;
      checks.push({
        reconciler,
        refused: refused.map(({ key, error: { code, message } }) => ({ key, code, message })),
        unchecked: null,
      });
    } catch (cause) {
      const unchecked = cause instanceof Error ? cause.message : String(cause);
      checks.push({ reconciler, refused: [], unchecked });
    }
  }
  return checks;
}
