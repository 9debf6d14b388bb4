import type { PortreeveRecord } from "../events/index.ts";
import { without } from "./fork.ts";
import type { State } from "./state.ts";

export function onConfirmationAwaited(draft: State, record: PortreeveRecord<"confirmation.awaited">): void {
  const { data } = record.event;
  draft.confirmations = { ...draft.confirmations, [data.id]: data };
}

/** Confirmed or reverted: either way nothing waits any more. */
export function onConfirmationEnded(
  draft: State,
  record: PortreeveRecord<"confirmation.given" | "confirmation.lapsed">,
): void {
  draft.confirmations = without(draft.confirmations, record.event.data.id);
}
