import type { PortreeveRecord } from "../events/index.ts";
import { without } from "./fork.ts";
import { internalKey, type State } from "./state.ts";

export function onControllerStarted(draft: State, record: PortreeveRecord<"controller.started">): void {
  const { afterCleanStop, bootId, uptimeMs, version } = record.event.data;
  draft.run = { startedAt: record.at, uptimeMs, bootId, version, afterCleanStop, stopped: false };
}

export function onControllerStopped(draft: State): void {
  draft.run = { ...draft.run, stopped: true };
}

export function onReconcilerPaused(draft: State, record: PortreeveRecord<"reconciler.paused">): void {
  const { name, until } = record.event.data;
  draft.pauses = { ...draft.pauses, [name]: until };
}

export function onReconcilerResumed(draft: State, record: PortreeveRecord<"reconciler.resumed">): void {
  draft.pauses = without(draft.pauses, record.event.data.name);
}

export function onBlockSet(draft: State, record: PortreeveRecord<"block.set">): void {
  const { device, protocol, internalPort } = record.event.data;
  const block = { device, protocol, internalPort, at: record.at };
  draft.blocks = { ...draft.blocks, [internalKey(device, protocol, internalPort)]: block };
}

export function onBlockLifted(draft: State, record: PortreeveRecord<"block.lifted">): void {
  const { device, protocol, internalPort } = record.event.data;
  draft.blocks = without(draft.blocks, internalKey(device, protocol, internalPort));
}
