import { ownRow } from "../../lib/own-row.ts";
import { event } from "../../events/index.ts";
import { isoTime } from "../../lib/iso-time.ts";
import { erasedBy, nameOf, objectsOf } from "../objects/index.ts";
import type { Confirmation, State } from "../state.ts";
import type { Decision, Submission, SubmissionOf } from "./command.ts";
import { newId } from "./new-id.ts";
import { accept, refuse } from "./refusal.ts";

export interface ConfirmationCommand {
  readonly type: "confirmation.give";
  readonly id: string;
}

/** Beyond this it is no trial any more, and what is needed to revert it may have left the log. */
export const CONFIRM_WITHIN_MAX_SECONDS = 86_400;

/** They end a pending change instead of adding to it. */
const ENDS_PENDING: ReadonlySet<Submission["type"]> = new Set(["change.revert", "confirmation.give"]);

/** An operator's change, if it is only a trial; and none of what is on trial already. */
export function onTrial(decision: Decision, command: Submission, state: State): Decision {
  if (!decision.ok || decision.events.length === 0 || !command.source.startsWith("api:")) return decision;
  const objects = objectsOf(decision.events);
  const pending = ENDS_PENDING.has(command.type) ? undefined : pendingFor(state, objects);
  if (pending !== undefined) {
    const [ref = ""] = pending.objects.filter((each) => objects.has(each));
    const object = objects.get(ref);
    const name = object === undefined ? ref : nameOf(object, state);
    const message = `${name} awaits a confirmation until ${isoTime(pending.until)}: \`portreeve confirm ${pending.id}\` keeps the change, \`portreeve revert ${pending.seqs[0]}\` takes it back`;
    return refuse("CONFIRMATION_PENDING", message);
  }
  const { confirmWithin, now } = command;
  if (confirmWithin === undefined) return decision;
  const ending = decision.events.find(({ type }) => type === "confirmation.lapsed");
  if (ending !== undefined) {
    // Turned back, it would leave for good what was only on trial.
    const message =
      "what is on trial is taken back at once, not on trial itself: leave out the time to confirm it within";
    return refuse("CONFIRMATION_PENDING", message);
  }
  const erased = erasedBy(decision.events, state);
  if (erased !== null) return refuse("NOT_UNDOABLE", `this can't be tried out: ${erased}`);
  if (objects.size === 0) return refuse("NOT_UNDOABLE", "this can't be tried out: nothing of it can be undone");
  const seqs = decision.events.map((_event, index) => state.seq + 1 + index);
  const until = now + confirmWithin * 1000;
  const id = newId("c", state, command);
  const awaited = event("confirmation.awaited", { id, seqs, objects: [...objects.keys()], until });
  return { ...decision, events: [...decision.events, awaited] };
}

function pendingFor(state: State, objects: ReadonlyMap<string, unknown>): Confirmation | undefined {
  return Object.values(state.confirmations).find((each) => each.objects.some((ref) => objects.has(ref)));
}

export function decideConfirmationGive(command: SubmissionOf<"confirmation.give">, state: State): Decision {
  const pending = ownRow(state.confirmations, command.id);
  if (pending === undefined || pending.until <= command.now) {
    const message = `no change awaits the confirmation ${command.id}: it was given, or the change was taken back; \`portreeve events list --type confirmation\` tells`;
    return refuse("NOT_FOUND", message);
  }
  return accept([event("confirmation.given", { id: command.id })], { kind: "done" });
}
