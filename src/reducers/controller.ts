import type { PortreeveRecord } from "../events/index.ts";
import { internalKey, type State } from "./state.ts";

export function onControllerStarted(draft: State, record: PortreeveRecord<"controller.started">): void {
  const { afterCleanStop, bootId, uptimeMs, version } = record.event.data;
  draft.run = { startedAt: record.at, uptimeMs, bootId, version, afterCleanStop, stopped: false };
}

export function onControllerStopped(draft: State): void {
  draft.run.stopped = true;
}

export function onReconcilerPaused(draft: State, record: PortreeveRecord<"reconciler.paused">): void {
  draft.pauses[record.event.data.name] = record.event.data.until;
}

export function onReconcilerResumed(draft: State, record: PortreeveRecord<"reconciler.resumed">): void {
  delete draft.pauses[record.event.data.name];
}

export function onBlockSet(draft: State, record: PortreeveRecord<"block.set">): void {
  const { device, protocol, internalPort } = record.event.data;
  draft.blocks[internalKey(device, protocol, internalPort)] = { device, protocol, internalPort, at: record.at };
}

export function onBlockLifted(draft: State, record: PortreeveRecord<"block.lifted">): void {
  const { device, protocol, internalPort } = record.event.data;
  delete draft.blocks[internalKey(device, protocol, internalPort)];
}
