import { event, type PortreeveEvent } from "../../events/index.ts";
import { tableGet } from "../../lib/table.ts";
import type { State } from "../state.ts";
import type { Deadlines, Decision } from "./command.ts";

/**
 * What an operator ends is logged with the end it would have had: renewals move it in memory alone, and an undo gives
 * back exactly that.
 */
export function withExactDeadlines(decision: Decision, state: State, deadlines: Deadlines): Decision {
  if (!decision.ok) return decision;
  const moved = decision.events.flatMap((each) => movedDeadline(each, state, deadlines) ?? []);
  if (moved.length === 0) return decision;
  return { ...decision, events: [event("leases.renewed", { deadlines: moved }), ...decision.events] };
}

function movedDeadline(each: PortreeveEvent, state: State, deadlines: Deadlines) {
  if (each.type !== "lease.released" || each.data.reason !== "operator") return null;
  const { mappingId, claimKey } = each.data;
  const claim = tableGet(state.mappings, mappingId)?.claims.find(({ key }) => key === claimKey);
  const expiresAt = deadlines.deadlineOf(mappingId, claimKey);
  // Without an end by an event of this very commit, of which the deadlines do not know yet.
  if (claim === undefined || claim.expiresAt === null) return null;
  if (expiresAt === null || claim.expiresAt === expiresAt) return null;
  return { mappingId, claimKey, expiresAt };
}
