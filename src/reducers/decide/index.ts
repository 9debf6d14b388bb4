import { event } from "../../events/index.ts";
import { unreachable } from "../../lib/assert.ts";
import type { State } from "../state.ts";
import type { Deadlines, Decision, Submission } from "./command.ts";
import { decideMap } from "./map.ts";
import {
  decidePortAdd,
  decidePortBlock,
  decidePortEdit,
  decidePortKeep,
  decidePortRemove,
  decidePortUnblock,
} from "./port.ts";
import { accept, refuse } from "./refusal.ts";
import {
  decideControllerStart,
  decideControllerStop,
  decideInterfaceLose,
  decideInterfaceObserve,
  decideLeasesCheckpoint,
  decideLeasesExpire,
  decideListenersObserve,
  decideReconcilerPause,
  decideReconcilerResume,
  decideSettingsSet,
  decideWithdraw,
} from "./system.ts";
import { decideUnmap } from "./unmap.ts";

/** Pure: the same command against the same state and deadlines always decides the same. */
export function decide(command: Submission, state: State, deadlines: Deadlines): Decision {
  if (command.ifSeq !== undefined && command.ifSeq !== state.seq) {
    const message = `the log is at ${state.seq}, the request was made for ${command.ifSeq}; read again and decide again`;
    return refuse("LOG_REVISION_CONFLICT", message);
  }
  switch (command.type) {
    case "map":
      return decideMap(command, state, deadlines);
    case "unmap":
      return decideUnmap(command, state, deadlines);
    case "withdraw":
      return decideWithdraw(command, state);
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
    case "interface.observe":
      return decideInterfaceObserve(command, state);
    case "interface.lose":
      return decideInterfaceLose(command, state);
    case "listeners.observe":
      return decideListenersObserve(command, state);
    case "settings.set":
      return decideSettingsSet(command, state);
    case "controller.start":
      return decideControllerStart(command, state);
    case "controller.stop":
      return decideControllerStop(state, deadlines);
    case "instance.take-over":
      return accept([event("instance.taken-over", { from: command.from })], { kind: "done" });
    case "leases.expire":
      return decideLeasesExpire(command, state, deadlines);
    case "leases.checkpoint":
      return decideLeasesCheckpoint(state, deadlines);
    case "reconciler.pause":
      return decideReconcilerPause(command);
    case "reconciler.resume":
      return decideReconcilerResume(command, state);
    default:
      return unreachable(command);
  }
}
