import type { z } from "zod";
import {
  authorityCreated,
  passwordSet,
  signInLinkIssued,
  tokenCreated,
  tokenRevoked,
  totpDisabled,
  totpEnabled,
} from "./account.ts";
import { blockLifted, blockSet } from "./block.ts";
import { confirmationAwaited, confirmationGiven, confirmationLapsed } from "./confirmation.ts";
import {
  clockNoted,
  controllerStarted,
  controllerStopped,
  epochAdvanced,
  epochReset,
  instanceTakenOver,
  reconcilerPaused,
  reconcilerResumed,
} from "./controller.ts";
import {
  allowanceGranted,
  allowanceWithdrawn,
  deviceAdded,
  deviceChanged,
  deviceRemoved,
  secretShown,
  wireguardKeyed,
} from "./device.ts";
import {
  dnsUpdated,
  nameAllowed,
  nameWithdrawn,
  recordAdded,
  recordChanged,
  recordRemoved,
  recordsRenewed,
} from "./dns.ts";
import type { DomainEvent, EventRecord } from "./envelope.ts";
import { interfaceLost, interfaceObserved, listenersObserved } from "./interface.ts";
import { leaseChanged, leaseExpired, leaseGranted, leaseReleased, leasesRenewed } from "./lease.ts";
import { mappingChanged, mappingGranted, mappingRestored } from "./mapping.ts";
import { settingsChanged } from "./settings.ts";
import { subnetAdded, subnetChanged, subnetRemoved } from "./subnet.ts";

/** Every event type, its current version and its schema. Older versions are lifted by `upcast.ts`. */
export const EVENT_TYPES = {
  "allowance.granted": { v: 1, schema: allowanceGranted },
  "allowance.withdrawn": { v: 1, schema: allowanceWithdrawn },
  "authority.created": { v: 1, schema: authorityCreated },
  "block.lifted": { v: 2, schema: blockLifted },
  "block.set": { v: 2, schema: blockSet },
  "clock.noted": { v: 1, schema: clockNoted },
  "confirmation.awaited": { v: 1, schema: confirmationAwaited },
  "confirmation.given": { v: 1, schema: confirmationGiven },
  "confirmation.lapsed": { v: 1, schema: confirmationLapsed },
  "controller.started": { v: 1, schema: controllerStarted },
  "controller.stopped": { v: 1, schema: controllerStopped },
  "device.added": { v: 3, schema: deviceAdded },
  "device.changed": { v: 3, schema: deviceChanged },
  "device.removed": { v: 1, schema: deviceRemoved },
  "dns.updated": { v: 1, schema: dnsUpdated },
  "epoch.advanced": { v: 1, schema: epochAdvanced },
  "epoch.reset": { v: 1, schema: epochReset },
  "instance.taken-over": { v: 1, schema: instanceTakenOver },
  "interface.lost": { v: 1, schema: interfaceLost },
  "interface.observed": { v: 2, schema: interfaceObserved },
  "lease.changed": { v: 2, schema: leaseChanged },
  "lease.expired": { v: 1, schema: leaseExpired },
  "lease.granted": { v: 4, schema: leaseGranted },
  "lease.released": { v: 1, schema: leaseReleased },
  "leases.renewed": { v: 1, schema: leasesRenewed },
  "listeners.observed": { v: 1, schema: listenersObserved },
  "mapping.changed": { v: 2, schema: mappingChanged },
  "mapping.granted": { v: 4, schema: mappingGranted },
  "name.allowed": { v: 1, schema: nameAllowed },
  "name.withdrawn": { v: 1, schema: nameWithdrawn },
  "password.set": { v: 1, schema: passwordSet },
  "mapping.restored": { v: 3, schema: mappingRestored },
  "record.added": { v: 1, schema: recordAdded },
  "record.changed": { v: 1, schema: recordChanged },
  "record.removed": { v: 1, schema: recordRemoved },
  "records.renewed": { v: 1, schema: recordsRenewed },
  "reconciler.paused": { v: 1, schema: reconcilerPaused },
  "reconciler.resumed": { v: 1, schema: reconcilerResumed },
  "secret.shown": { v: 3, schema: secretShown },
  "settings.changed": { v: 4, schema: settingsChanged },
  "sign-in-link.issued": { v: 1, schema: signInLinkIssued },
  "subnet.added": { v: 2, schema: subnetAdded },
  "subnet.changed": { v: 2, schema: subnetChanged },
  "subnet.removed": { v: 1, schema: subnetRemoved },
  "token.created": { v: 1, schema: tokenCreated },
  "token.revoked": { v: 1, schema: tokenRevoked },
  "totp.disabled": { v: 1, schema: totpDisabled },
  "totp.enabled": { v: 1, schema: totpEnabled },
  "wireguard.keyed": { v: 1, schema: wireguardKeyed },
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
