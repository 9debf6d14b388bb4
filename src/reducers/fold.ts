import type { DomainEvent, EventRecord } from "../events/envelope.ts";
import type { PortreeveEvent, PortreeveRecord } from "../events/index.ts";
import { assert } from "../lib/assert.ts";
import {
  onAuthorityCreated,
  onPasswordSet,
  onSignInLinkIssued,
  onTokenCreated,
  onTokenRevoked,
  onTotpDisabled,
  onTotpEnabled,
} from "./account.ts";
import { onConfirmationAwaited, onConfirmationEnded } from "./confirmation.ts";
import { unfoldable } from "../events/log-fault.ts";
import { sealState } from "./fork.ts";
import {
  onBlockLifted,
  onBlockSet,
  onControllerStarted,
  onControllerStopped,
  onReconcilerPaused,
  onReconcilerResumed,
} from "./controller.ts";
import {
  onDnsUpdated,
  onNameAllowed,
  onNameWithdrawn,
  onRecordAdded,
  onRecordChanged,
  onRecordRemoved,
  onRecordsRenewed,
} from "./dns-record.ts";
import { onAllowanceGranted, onAllowanceWithdrawn, onDeviceAdded, onDeviceChanged, onDeviceRemoved } from "./device.ts";
import {
  onEpochAdvanced,
  onEpochReset,
  onInterfaceLost,
  onInterfaceObserved,
  onListenersObserved,
  onSettingsChanged,
} from "./interface.ts";
import { onLeaseChanged, onLeaseExpired, onLeaseGranted, onLeaseReleased, onLeasesRenewed } from "./lease.ts";
import { onMappingChanged, onMappingGranted, onMappingRestored } from "./mapping.ts";
import { initialState, type State } from "./state.ts";
import { onSubnetAdded, onSubnetChanged, onSubnetRemoved, onWireguardKeyed } from "./subnet.ts";

/** One entry for each event type: a new type does not compile until it is handled. */
type Handlers<E extends DomainEvent> = {
  readonly [T in E["type"]]: (draft: State, record: EventRecord<Extract<E, { type: T }>>) => void;
};

const HANDLERS: Handlers<PortreeveEvent> = {
  "allowance.granted": onAllowanceGranted,
  "allowance.withdrawn": onAllowanceWithdrawn,
  "authority.created": onAuthorityCreated,
  "block.lifted": onBlockLifted,
  "block.set": onBlockSet,
  // Its instant is all it says.
  "clock.noted": () => {},
  "confirmation.awaited": onConfirmationAwaited,
  "confirmation.given": onConfirmationEnded,
  "confirmation.lapsed": onConfirmationEnded,
  "controller.started": onControllerStarted,
  "controller.stopped": onControllerStopped,
  "device.added": onDeviceAdded,
  "device.changed": onDeviceChanged,
  "device.removed": onDeviceRemoved,
  "dns.updated": onDnsUpdated,
  "epoch.advanced": onEpochAdvanced,
  "epoch.reset": onEpochReset,
  // The mark in the kernel changes hands, not our state: kept for the audit.
  "instance.taken-over": () => {},
  "interface.lost": onInterfaceLost,
  "interface.observed": onInterfaceObserved,
  "lease.changed": onLeaseChanged,
  "lease.expired": onLeaseExpired,
  "lease.granted": onLeaseGranted,
  "lease.released": onLeaseReleased,
  "leases.renewed": onLeasesRenewed,
  "listeners.observed": onListenersObserved,
  "mapping.changed": onMappingChanged,
  "mapping.granted": onMappingGranted,
  "mapping.restored": onMappingRestored,
  "name.allowed": onNameAllowed,
  "name.withdrawn": onNameWithdrawn,
  "password.set": onPasswordSet,
  "record.added": onRecordAdded,
  "record.changed": onRecordChanged,
  "record.removed": onRecordRemoved,
  "records.renewed": onRecordsRenewed,
  "reconciler.paused": onReconcilerPaused,
  "reconciler.resumed": onReconcilerResumed,
  // Kept for the audit.
  "secret.shown": () => {},
  "settings.changed": onSettingsChanged,
  "sign-in-link.issued": onSignInLinkIssued,
  "subnet.added": onSubnetAdded,
  "subnet.changed": onSubnetChanged,
  "subnet.removed": onSubnetRemoved,
  "token.created": onTokenCreated,
  "token.revoked": onTokenRevoked,
  "totp.disabled": onTotpDisabled,
  "totp.enabled": onTotpEnabled,
  "wireguard.keyed": onWireguardKeyed,
};

/** Folds one record into a state that may be written to: a fork, or one that nobody else sees yet. */
export function foldInto(draft: State, record: PortreeveRecord): void {
  assert(record.seq === draft.seq + 1, `record ${record.seq} after state ${draft.seq}`);
  const handler = HANDLERS[record.event.type] as (draft: State, record: PortreeveRecord) => void;
  handler(draft, record);
  draft.seq = record.seq;
  draft.at = record.at;
}

/**
 * The same handlers on one state, sealed at the end; a fork for each record would cost several times as much. Throws a
 * `LogFault` that names the record which does not fit; `from` is then the state before it.
 */
export async function replay(
  records: AsyncIterable<PortreeveRecord> | Iterable<PortreeveRecord>,
  from: State = initialState(),
): Promise<State> {
  const state = from;
  for await (const record of records) foldReplayed(state, record);
  return sealState(state);
}

function foldReplayed(state: State, record: PortreeveRecord): void {
  try {
    foldInto(state, record);
  } catch (cause) {
    const { seq, event } = record;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw unfoldable(seq, `record ${seq}, "${event.type}", does not fit what comes before it: ${why}`, cause);
  }
}
