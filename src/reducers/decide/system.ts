import type { RouteGateway, Transport } from "../../events/fields.ts";
import { event, type PortreeveEvent } from "../../events/index.ts";
import type { Settings } from "../../events/settings.ts";
import { isSameBoot } from "../../lib/clock.ts";
import { tableGet } from "../../lib/table.ts";
import type { State } from "../state.ts";
import type { CommandEnvelope, CommandOf, Decision, SubmissionOf } from "./command.ts";
import type { Deadlines, LeaseRef, Renewal } from "../deadlines.ts";
import { accept, refuse } from "./refusal.ts";

export type SystemCommand =
  /** The target refused what was promised: ends that claim. */
  | { readonly type: "withdraw"; readonly mappingId: string; readonly claimKey: string }
  | {
      readonly type: "interface.observe";
      readonly name: string;
      readonly up: boolean;
      readonly addresses: readonly string[];
      readonly gateway: RouteGateway | null;
    }
  | { readonly type: "interface.lose"; readonly name: string }
  | {
      readonly type: "listeners.observe";
      readonly listeners: readonly { readonly protocol: Transport; readonly port: number }[];
    }
  | { readonly type: "settings.set"; readonly settings: Settings }
  | {
      readonly type: "controller.start";
      readonly version: string;
      readonly instanceId: string;
      readonly bootId: string;
      readonly uptimeMs: number;
      /** The log ends with an epoch reset that was made while nobody was served: clients were told nothing since. */
      readonly epochsRestarted: boolean;
    }
  | { readonly type: "controller.stop" }
  | { readonly type: "instance.take-over"; readonly from: string }
  /** Ends every lease whose deadline (with renewals in memory) has passed. */
  | { readonly type: "leases.expire" }
  /** Writes the deadlines that moved by more than a quarter of their lifetime, and the time after a long silence. */
  | { readonly type: "leases.checkpoint" }
  | { readonly type: "reconciler.pause"; readonly name: string; readonly until: number }
  | { readonly type: "reconciler.resume"; readonly name: string };

const DONE = { kind: "done" } as const;
/** One record stays well below what a reader must hold at once. */
const DEADLINES_PER_EVENT = 1000;

/** While clients are served the log is given an instant at least this often, checked once a minute. */
const SILENT_MAX_MS = 10 * 60_000;
/** So long after the last record clients may have been told of time: appends may fail for a while meanwhile. */
const TOLD_AHEAD_MAX_MS = 15 * 60_000;

const sameJson = (left: unknown, right: unknown): boolean => JSON.stringify(left) === JSON.stringify(right);

export function decideInterfaceObserve(command: CommandOf<"interface.observe">, state: State): Decision {
  const { name, up, gateway } = command;
  const addresses = [...command.addresses];
  const known = state.interfaces[name];
  // Adapters repeat what they see; only a difference is a fact worth keeping.
  const seen = [up, addresses, gateway];
  if (known !== undefined && sameJson([known.up, known.addresses, known.gateway], seen)) return accept([], DONE);
  return accept([event("interface.observed", { name, up, addresses, gateway })], DONE);
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

export function decideControllerStart(command: SubmissionOf<"controller.start">, state: State): Decision {
  const { version, instanceId, bootId, uptimeMs } = command;
  const started = event("controller.started", {
    version,
    instanceId,
    bootId,
    uptimeMs,
    afterCleanStop: state.run.stopped,
  });
  const byMs = epochsBehindMs(command, state);
  return accept(byMs > 0 ? [started, event("epoch.advanced", { byMs })] : [started], DONE);
}

/**
 * How far the epochs may be behind what clients were told (RFC 6887 §8.5, RFC 6886 §3.6). After a reboot gateway time
 * knows of nothing after the last record but the wall clock, which may be wrong; within a boot it goes on by itself.
 */
function epochsBehindMs(command: SubmissionOf<"controller.start">, state: State): number {
  const { run, at } = state;
  const toldNothing = run.stopped || command.epochsRestarted || Object.keys(state.epochs).length === 0;
  if (toldNothing || isSameBoot(run, command)) return 0;
  return at + TOLD_AHEAD_MAX_MS - Math.max(command.now, at);
}

/** The exact deadlines first, so that the next start need not lengthen any lease. */
export function decideControllerStop(state: State, deadlines: Deadlines): Decision {
  return accept([...renewed(state, deadlines.moved(true)), event("controller.stopped", {})], DONE);
}

export function decideLeasesExpire(command: CommandEnvelope, state: State, deadlines: Deadlines): Decision {
  const due = deadlines.due(command.now).filter((ref) => hasLease(state, ref));
  return accept(
    due.map((ref) =>
      "recordId" in ref
        ? event("record.removed", { id: ref.recordId, reason: "expired" })
        : event("lease.expired", ref),
    ),
    DONE,
  );
}

export function decideLeasesCheckpoint(command: CommandEnvelope, state: State, deadlines: Deadlines): Decision {
  const events = renewed(state, deadlines.moved(false));
  const silent = events.length === 0 && command.now - state.at >= SILENT_MAX_MS;
  // Nobody is told of time where nobody is served.
  if (silent && Object.keys(state.epochs).length > 0) events.push(event("clock.noted", {}));
  return accept(events, DONE);
}

/** The deadlines are of the last commit: leases that the state has lost since are passed over. */
function renewed(state: State, all: ReturnType<Deadlines["moved"]>): PortreeveEvent[] {
  return renewalEvents(all.filter((ref) => hasLease(state, ref)));
}

/** What renewals in memory have moved, as the log keeps it. */
export function renewalEvents(moved: readonly Renewal[]): PortreeveEvent[] {
  const claims = moved.flatMap((each) => ("recordId" in each ? [] : [each]));
  const records = moved.flatMap((each) =>
    "recordId" in each ? [{ id: each.recordId, expiresAt: each.expiresAt }] : [],
  );
  return [
    ...inParts(claims).map((deadlines) => event("leases.renewed", { deadlines })),
    ...inParts(records).map((deadlines) => event("records.renewed", { deadlines })),
  ];
}

const inParts = <Each>(all: Each[]): Each[][] =>
  Array.from({ length: Math.ceil(all.length / DEADLINES_PER_EVENT) }, (_, part) =>
    all.slice(part * DEADLINES_PER_EVENT, (part + 1) * DEADLINES_PER_EVENT),
  );

const hasLease = (state: State, ref: LeaseRef): boolean =>
  "recordId" in ref
    ? tableGet(state.recordNames, ref.recordId) !== undefined
    : hasClaim(state, ref.mappingId, ref.claimKey);

const hasClaim = (state: State, mappingId: string, claimKey: string): boolean =>
  tableGet(state.mappings, mappingId)?.claims.some((claim) => claim.key === claimKey) ?? false;

export function decideWithdraw(command: CommandOf<"withdraw">, state: State): Decision {
  const { mappingId, claimKey } = command;
  if (!hasClaim(state, mappingId, claimKey)) return accept([], DONE);
  return accept([event("lease.released", { mappingId, claimKey, reason: "withdrawn" })], DONE);
}

export function decideReconcilerPause(command: SubmissionOf<"reconciler.pause">): Decision {
  if (command.until <= command.now) return refuse("INVALID_REQUEST", "a pause ends in the future; give it a duration");
  return accept([event("reconciler.paused", { name: command.name, until: command.until })], DONE);
}

export function decideReconcilerResume(command: CommandOf<"reconciler.resume">, state: State): Decision {
  if (state.pauses[command.name] === undefined) return accept([], DONE);
  return accept([event("reconciler.resumed", { name: command.name })], DONE);
}
