import { unreachable } from "../../lib/assert.ts";
import type { State } from "../state.ts";
import type { CommandEnvelope, Decision, SubmissionOf } from "./command.ts";
import { Draft } from "./draft.ts";
import {
  decidePortAdd,
  decidePortBlock,
  decidePortEdit,
  decidePortKeep,
  decidePortRemove,
  decidePortUnblock,
  type PortCommand,
} from "./port.ts";

export interface PortBatch {
  readonly type: "port.batch";
  readonly changes: readonly PortCommand[];
}

/** Several of them as one change, all or none: each is decided on what the ones before it made. */
export function decidePortBatch(command: SubmissionOf<"port.batch">, state: State): Decision {
  const draft = new Draft(command, state);
  const ids: string[] = [];
  for (const [index, change] of command.changes.entries()) {
    const decision = draft.step(`change ${index}`, (envelope, now) => decideOne({ ...envelope, ...change }, now));
    if (!decision.ok) return decision;
    if (decision.answer.kind === "ids") ids.push(...decision.answer.ids);
  }
  return draft.decision({ kind: "ids", ids });
}

function decideOne(command: CommandEnvelope & PortCommand, state: State): Decision {
  switch (command.type) {
    case "port.add":
      return decidePortAdd(command, state);
    case "port.edit":
      return decidePortEdit(command, state);
    case "port.remove":
      return decidePortRemove(command, state);
    case "port.keep":
      return decidePortKeep(command, state);
    case "port.block":
      return decidePortBlock(command, state);
    case "port.unblock":
      return decidePortUnblock(command, state);
    default:
      return unreachable(command);
  }
}
