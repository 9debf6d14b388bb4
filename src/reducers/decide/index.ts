import { event } from "../../events/index.ts";
import type { State } from "../state.ts";
import {
  decideAuthorityCreate,
  decideLinkIssue,
  decidePasswordSet,
  decideTokenCreate,
  decideTokenRevoke,
  decideTotpDisable,
  decideTotpEnable,
} from "./account.ts";
import type { CommandType, Decision, Submission, SubmissionOf } from "./command.ts";
import type { Deadlines } from "../deadlines.ts";
import {
  decideDeviceAdd,
  decideDeviceAllow,
  decideDeviceEdit,
  decideDeviceRemove,
  decideDevicesExpire,
  decideSecretShow,
  decideWireguardKey,
} from "./device.ts";
import { decideDeclarationApply } from "./declaration.ts";
import { decideNameAllow, decideRecordAdd, decideRecordEdit, decideRecordRemove } from "./dns-record.ts";
import { decideDnsUpdate } from "./dns-update.ts";
import { decideConfirmationGive, onTrial } from "./confirmation.ts";
import { withExactDeadlines } from "./exact-deadlines.ts";
import { decideMap } from "./map.ts";
import {
  decidePortAdd,
  decidePortBlock,
  decidePortEdit,
  decidePortKeep,
  decidePortRemove,
  decidePortUnblock,
} from "./port.ts";
import { decidePortBatch } from "./port-batch.ts";
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
import { decideSubnetAdd, decideSubnetEdit, decideSubnetRemove } from "./subnet.ts";
import { decideLapse, decideRevert } from "./undo.ts";
import { decideUnmap } from "./unmap.ts";
import { decideUpnpMap } from "./upnp.ts";
import { decideUpnpPinhole, decideUpnpPinholeDelete, decideUpnpPinholeUpdate } from "./upnp-pinhole.ts";
import { decideUpnpUnmap, decideUpnpUnmapRange } from "./upnp-unmap.ts";

/** Pure: the same command against the same state and deadlines always decides the same. */
export function decide(command: Submission, state: State, deadlines: Deadlines): Decision {
  if (command.ifSeq !== undefined && command.ifSeq !== state.seq) {
    const message = `the log is at ${state.seq}, the request was made for ${command.ifSeq}; read again and decide again`;
    return refuse("LOG_REVISION_CONFLICT", message);
  }
  const decider = DECIDERS[command.type] as (command: Submission, state: State, deadlines: Deadlines) => Decision;
  return onTrial(withExactDeadlines(decider(command, state, deadlines), state, deadlines), command, state);
}

type Deciders = {
  readonly [T in CommandType]: (command: SubmissionOf<T>, state: State, deadlines: Deadlines) => Decision;
};

/** One entry for each command: a new one does not compile until somebody decides it. */
const DECIDERS: Deciders = {
  map: decideMap,
  unmap: decideUnmap,
  upnpMap: decideUpnpMap,
  upnpUnmap: decideUpnpUnmap,
  upnpUnmapRange: decideUpnpUnmapRange,
  upnpPinhole: decideUpnpPinhole,
  upnpPinholeUpdate: decideUpnpPinholeUpdate,
  upnpPinholeDelete: decideUpnpPinholeDelete,
  withdraw: decideWithdraw,
  "port.add": decidePortAdd,
  "port.edit": decidePortEdit,
  "port.remove": decidePortRemove,
  "port.keep": decidePortKeep,
  "port.block": decidePortBlock,
  "port.unblock": decidePortUnblock,
  "port.batch": decidePortBatch,
  "subnet.add": decideSubnetAdd,
  "subnet.edit": decideSubnetEdit,
  "subnet.remove": decideSubnetRemove,
  "device.add": decideDeviceAdd,
  "device.edit": decideDeviceEdit,
  "device.remove": decideDeviceRemove,
  "device.allow": decideDeviceAllow,
  "devices.expire": decideDevicesExpire,
  "dns.update": decideDnsUpdate,
  "record.add": decideRecordAdd,
  "record.edit": decideRecordEdit,
  "record.remove": decideRecordRemove,
  "name.allow": decideNameAllow,
  "declaration.apply": decideDeclarationApply,
  "secret.show": decideSecretShow,
  "wireguard.key": decideWireguardKey,
  "interface.observe": decideInterfaceObserve,
  "interface.lose": decideInterfaceLose,
  "listeners.observe": decideListenersObserve,
  "settings.set": decideSettingsSet,
  "controller.start": decideControllerStart,
  "controller.stop": (_command, state, deadlines) => decideControllerStop(state, deadlines),
  "instance.take-over": (command) => accept([event("instance.taken-over", { from: command.from })], { kind: "done" }),
  "leases.expire": decideLeasesExpire,
  "leases.checkpoint": decideLeasesCheckpoint,
  "reconciler.pause": decideReconcilerPause,
  "reconciler.resume": decideReconcilerResume,
  "password.set": decidePasswordSet,
  "sign-in-link.issue": decideLinkIssue,
  "totp.enable": decideTotpEnable,
  "totp.disable": (_command, state) => decideTotpDisable(state),
  "token.create": decideTokenCreate,
  "token.revoke": decideTokenRevoke,
  "authority.create": decideAuthorityCreate,
  "change.revert": decideRevert,
  "confirmation.give": decideConfirmationGive,
  "confirmation.lapse": decideLapse,
};
