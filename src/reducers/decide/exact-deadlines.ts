import type { PortreeveEvent } from "../../events/index.ts";
import { tableGet } from "../../lib/table.ts";
import { recordWithId } from "../dns-record.ts";
import type { State } from "../state.ts";
import type { Decision } from "./command.ts";
import type { Deadlines, Renewal } from "../deadlines.ts";
import { renewalEvents } from "./system.ts";

/**
 * What an operator ends is logged with the end it would have had: renewals move it in memory alone, and an undo gives
 * back exactly that.
 */
export function withExactDeadlines(decision: Decision, state: State, deadlines: Deadlines): Decision {
  if (!decision.ok) return decision;
  const moved = decision.events.flatMap((each) => movedDeadline(each, state, deadlines) ?? []);
  if (moved.length === 0) return decision;
  return { ...decision, events: [...renewalEvents(moved), ...decision.events] };
}

function movedDeadline(each: PortreeveEvent, state: State, deadlines: Deadlines): Renewal | null {
  if (each.type === "record.removed") {
    const { id: recordId, reason } = each.data;
    const expiresAt = reason === "expired" ? null : deadlines.recordDeadline(recordId);
    const logged = recordWithId(state, recordId)?.record.expiresAt ?? null;
    return expiresAt === null || logged === null || logged === expiresAt ? null : { recordId, expiresAt };
  }
  if (each.type !== "lease.released" || each.data.reason !== "operator") return null;
  const { mappingId, claimKey } = each.data;
  const claim = tableGet(state.mappings, mappingId)?.claims.find(({ key }) => key === claimKey);
  const expiresAt = deadlines.deadlineOf(mappingId, claimKey);
  // Without an end by an event of this very commit, of which the deadlines do not know yet.
  if (claim === undefined || claim.expiresAt === null) return null;
  if (expiresAt === null || claim.expiresAt === expiresAt) return null;
  return { mappingId, claimKey, expiresAt };
}
