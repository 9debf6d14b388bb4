import type { z } from "zod";
import { blockLifted, blockSet } from "./block.ts";
import {
  controllerStarted,
  controllerStopped,
  epochReset,
  instanceTakenOver,
  reconcilerPaused,
  reconcilerResumed,
} from "./controller.ts";
import type { DomainEvent, EventRecord } from "./envelope.ts";
import { interfaceLost, interfaceObserved, listenersObserved } from "./interface.ts";
import { leaseChanged, leaseExpired, leaseGranted, leaseReleased, leasesRenewed } from "./lease.ts";
import { mappingChanged, mappingGranted } from "./mapping.ts";
import { settingsChanged } from "./settings.ts";

/** Every event type, its current version and its schema. Older versions are lifted by `upcast.ts`. */
export const EVENT_TYPES = {
  "block.lifted": { v: 1, schema: blockLifted },
  "block.set": { v: 1, schema: blockSet },
  "controller.started": { v: 1, schema: controllerStarted },
  "controller.stopped": { v: 1, schema: controllerStopped },
  "epoch.reset": { v: 1, schema: epochReset },
  "instance.taken-over": { v: 1, schema: instanceTakenOver },
  "interface.lost": { v: 1, schema: interfaceLost },
  "interface.observed": { v: 1, schema: interfaceObserved },
  "lease.changed": { v: 1, schema: leaseChanged },
  "lease.expired": { v: 1, schema: leaseExpired },
  "lease.granted": { v: 1, schema: leaseGranted },
  "lease.released": { v: 1, schema: leaseReleased },
  "leases.renewed": { v: 1, schema: leasesRenewed },
  "listeners.observed": { v: 1, schema: listenersObserved },
  "mapping.changed": { v: 1, schema: mappingChanged },
  "mapping.granted": { v: 1, schema: mappingGranted },
  "reconciler.paused": { v: 1, schema: reconcilerPaused },
  "reconciler.resumed": { v: 1, schema: reconcilerResumed },
  "settings.changed": { v: 1, schema: settingsChanged },
} as const;

export type EventType = keyof typeof EVENT_TYPES;
export type EventData<T extends EventType> = z.infer<(typeof EVENT_TYPES)[T]["schema"]>;
export type PortreeveEvent = {
  [T in EventType]: DomainEvent<T, (typeof EVENT_TYPES)[T]["v"], EventData<T>>;
}[EventType];
export type PortreeveRecord<T extends EventType = EventType> = EventRecord<Extract<PortreeveEvent, { type: T }>>;

/** Builds an event of the current version. */
export function event<T extends EventType>(type: T, data: EventData<T>): Extract<PortreeveEvent, { type: T }> {
  return { type, v: EVENT_TYPES[type].v, data } as Extract<PortreeveEvent, { type: T }>;
}
