import { event, type PortreeveEvent } from "../../events/index.ts";
import { tableGet } from "../../lib/table.ts";
import type { State } from "../state.ts";
import type { CommandEnvelope, CommandOf, Deadlines, Decision } from "./command.ts";
import { accept, refuse } from "./refusal.ts";

const DONE = { kind: "done" } as const;
/** One record stays well below what a reader must hold at once. */
const DEADLINES_PER_EVENT = 1000;

const sameJson = (left: unknown, right: unknown): boolean => JSON.stringify(left) === JSON.stringify(right);

export function decideInterfaceObserve(command: CommandOf<"interface.observe">, state: State): Decision {
  const { name, up } = command;
  const addresses = [...command.addresses];
  const known = state.interfaces[name];
  // Adapters repeat what they see; only a difference is a fact worth keeping.
  if (known !== undefined && known.up === up && sameJson(known.addresses, addresses)) return accept([], DONE);
  return accept([event("interface.observed", { name, up, addresses })], DONE);
}

export function decideInterfaceLose(command: CommandOf<"interface.lose">, state: State): Decision {
  if (state.interfaces[command.name] === undefined) return accept([], DONE);
  return accept([event("interface.lost", { name: command.name })], DONE);
}

export function decideListenersObserve(command: CommandOf<"listeners.observe">, state: State): Decision {
  const listeners = [...command.listeners].sort((a, b) => a.port - b.port || (a.protocol < b.protocol ? -1 : 1));
  if (sameJson(listeners, state.listeners)) return accept([], DONE);
  return accept([event("listeners.observed", { listeners })], DONE);
}

export function decideSettingsSet(command: CommandOf<"settings.set">, state: State): Decision {
  if (sameJson(command.settings, state.settings)) return accept([], DONE);
  return accept([event("settings.changed", { settings: command.settings })], DONE);
}

export function decideControllerStart(command: CommandOf<"controller.start">, state: State): Decision {
  const { version, instanceId, bootId, uptimeMs } = command;
  const started = event("controller.started", {
    version,
    instanceId,
    bootId,
    uptimeMs,
    afterCleanStop: state.run.stopped,
  });
  return accept([started], DONE);
}

/** The exact deadlines first, so that the next start need not lengthen any lease. */
export function decideControllerStop(state: State, deadlines: Deadlines): Decision {
  return accept([...renewed(state, deadlines.moved(true)), event("controller.stopped", {})], DONE);
}

export function decideLeasesExpire(command: CommandEnvelope, state: State, deadlines: Deadlines): Decision {
  const due = deadlines.due(command.now).filter(({ mappingId, claimKey }) => hasClaim(state, mappingId, claimKey));
  return accept(
    due.map((claim) => event("lease.expired", claim)),
    DONE,
  );
}

export function decideLeasesCheckpoint(state: State, deadlines: Deadlines): Decision {
  return accept(renewed(state, deadlines.moved(false)), DONE);
}

/** The deadlines are of the last commit: claims that the state has lost since are passed over. */
function renewed(state: State, all: ReturnType<Deadlines["moved"]>): PortreeveEvent[] {
  const moved = all.filter(({ mappingId, claimKey }) => hasClaim(state, mappingId, claimKey));
  const events: PortreeveEvent[] = [];
  for (let start = 0; start < moved.length; start += DEADLINES_PER_EVENT) {
    events.push(event("leases.renewed", { deadlines: moved.slice(start, start + DEADLINES_PER_EVENT) }));
  }
  return events;
}

const hasClaim = (state: State, mappingId: string, claimKey: string): boolean =>
  tableGet(state.mappings, mappingId)?.claims.some((claim) => claim.key === claimKey) ?? false;

export function decideWithdraw(command: CommandOf<"withdraw">, state: State): Decision {
  const { mappingId, claimKey } = command;
  if (!hasClaim(state, mappingId, claimKey)) return accept([], DONE);
  return accept([event("lease.released", { mappingId, claimKey, reason: "withdrawn" })], DONE);
}

export function decideReconcilerPause(command: CommandEnvelope & CommandOf<"reconciler.pause">): Decision {
  if (command.until <= command.now) return refuse("INVALID_REQUEST", "a pause ends in the future; give it a duration");
  return accept([event("reconciler.paused", { name: command.name, until: command.until })], DONE);
}

export function decideReconcilerResume(command: CommandOf<"reconciler.resume">, state: State): Decision {
  if (state.pauses[command.name] === undefined) return accept([], DONE);
  return accept([event("reconciler.resumed", { name: command.name })], DONE);
}
