import { event } from "../../events/index.ts";
import { unreachable } from "../../lib/assert.ts";
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
import type { Deadlines, Decision, Submission } from "./command.ts";
import {
  decideDeviceAdd,
  decideDeviceAllow,
  decideDeviceEdit,
  decideDeviceRemove,
  decideDevicesExpire,
  decideSecretShow,
  decideWireguardKey,
} from "./device.ts";
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

/** Pure: the same command against the same state and deadlines always decides the same. */
export function decide(command: Submission, state: State, deadlines: Deadlines): Decision {
  if (command.ifSeq !== undefined && command.ifSeq !== state.seq) {
    const message = `the log is at ${state.seq}, the request was made for ${command.ifSeq}; read again and decide again`;
    return refuse("LOG_REVISION_CONFLICT", message);
  }
  return onTrial(withExactDeadlines(decideAlone(command, state, deadlines), state, deadlines), command, state);
}

function decideAlone(command: Submission, state: State, deadlines: Deadlines): Decision {
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
    case "subnet.add":
      return decideSubnetAdd(command, state);
    case "subnet.edit":
      return decideSubnetEdit(command, state);
    case "subnet.remove":
      return decideSubnetRemove(command, state);
    case "device.add":
      return decideDeviceAdd(command, state);
    case "device.edit":
      return decideDeviceEdit(command, state);
    case "device.remove":
      return decideDeviceRemove(command, state);
    case "device.allow":
      return decideDeviceAllow(command, state);
    case "devices.expire":
      return decideDevicesExpire(command, state);
    case "secret.show":
      return decideSecretShow(command, state);
    case "wireguard.key":
      return decideWireguardKey(command);
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
      return decideLeasesCheckpoint(command, state, deadlines);
    case "reconciler.pause":
      return decideReconcilerPause(command);
    case "reconciler.resume":
      return decideReconcilerResume(command, state);
    case "password.set":
      return decidePasswordSet(command, state);
    case "sign-in-link.issue":
      return decideLinkIssue(command);
    case "totp.enable":
      return decideTotpEnable(command, state);
    case "totp.disable":
      return decideTotpDisable(state);
    case "token.create":
      return decideTokenCreate(command, state);
    case "token.revoke":
      return decideTokenRevoke(command, state);
    case "authority.create":
      return decideAuthorityCreate(command);
    case "change.revert":
      return decideRevert(command, state);
    case "confirmation.give":
      return decideConfirmationGive(command, state);
    case "confirmation.lapse":
      return decideLapse(command, state);
    default:
      return unreachable(command);
  }
}
