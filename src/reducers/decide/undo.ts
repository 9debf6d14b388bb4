import { event, type PortreeveEvent, type PortreeveRecord } from "../../events/index.ts";
import { assert } from "../../lib/assert.ts";
import { foldInto } from "../fold.ts";
import { forkState, sealState } from "../fork.ts";
import { erasedBy, nameOf, OBJECT_KINDS, type ObjectRef, objectsOf } from "../objects/index.ts";
import type { Hindrance, RevertTerms, Stage, Views } from "../objects/kind.ts";
import type { Confirmation, State } from "../state.ts";
import type { Answer, Decision, Refusal, SubmissionOf } from "./command.ts";
import { accept, refuse } from "./refusal.ts";

/** What one request logged, and what is needed to take it back. */
export interface Change {
  /** Its records, in order. */
  readonly records: readonly PortreeveRecord[];
  /** The state before the first of them. */
  readonly before: State;
  /** Records after it that concern the same objects, oldest first: named if they are in the way. */
  readonly later: readonly PortreeveRecord[];
}

export type UndoCommand =
  | { readonly type: "change.revert"; readonly change: Change }
  /** Its deadline has passed. */
  | { readonly type: "confirmation.lapse"; readonly id: string; readonly change: Change };

/** Records that a refusal names; a script gets the numbers of all. */
const NAMED_MAX = 5;

interface Taken {
  readonly events: PortreeveEvent[];
  readonly hindered: ReadonlyMap<string, Hindrance>;
}

/** Takes back what one change did, as far as nothing has come to depend on it. */
export function decideRevert(command: SubmissionOf<"change.revert">, state: State): Decision {
  const { change, now } = command;
  const refusal = unfit(change);
  if (refusal !== null) return { ok: false, refusal };
  const [first] = change.records as [PortreeveRecord];
  const revoke = !first.source.startsWith("api:");
  const { events, hindered } = takeBack(change, state, { at: now, revoke, lapse: false });
  for (const [ref, hindrance] of hindered) return dependents(ref, hindrance, change, state);
  const pending = confirmationOf(state, change);
  if (pending !== undefined) events.push(event("confirmation.lapsed", { id: pending.id, kept: [] }));
  if (events.length === 0) return nothingLeft(change);
  return { ...accept(events, answerFor(events)), causedBy: first.seq };
}

/** At the deadline of a change that nobody confirmed: what can be taken back is, and what has changed since stays. */
export function decideLapse(command: SubmissionOf<"confirmation.lapse">, state: State): Decision {
  const { id, change, now } = command;
  if (state.confirmations[id] === undefined) return accept([], { kind: "done" });
  const { events, hindered } = takeBack(change, state, { at: now, revoke: false, lapse: true });
  const kept = [...hindered].map(([ref, { why }]) => `${calledIn(ref, change, state)}: ${why}`);
  const [first] = change.records;
  assert(first !== undefined, "a change has a record");
  return { ...accept([...events, event("confirmation.lapsed", { id, kept })], answerFor(events)), causedBy: first.seq };
}

const confirmationOf = (state: State, { records }: Change): Confirmation | undefined =>
  Object.values(state.confirmations).find(({ seqs }) => seqs.includes(records[0]?.seq ?? 0));

/** Why a change can never be taken back, whatever happened since. */
function unfit({ records, before }: Change): Refusal | null {
  const [first] = records;
  assert(first !== undefined, "a change has a record");
  const { source, seq } = first;
  const what = `record ${seq} (${first.event.type} by ${source})`;
  const events = records.map((record) => record.event);
  if (source.startsWith("api:")) {
    const erased = erasedBy(events, before);
    if (erased !== null) return { code: "NOT_UNDOABLE", message: `${what} can't be undone: ${erased}` };
    if (objectsOf(events).size > 0) return null;
    return { code: "NOT_UNDOABLE", message: `${what} is nothing that can be undone` };
  }
  if (!/^(pcp|natpmp|upnp|dns):/.test(source)) {
    return { code: "NOT_UNDOABLE", message: `${what} says what was so; nobody decided it, so nobody can undo it` };
  }
  if (events.some(givesSomething)) return null;
  const message = `${what} is a device's own: what it gave up it may ask for again; only what it was given can be revoked`;
  return { code: "NOT_UNDOABLE", message };
}

const givesSomething = ({ type, data }: PortreeveEvent): boolean =>
  type === "mapping.granted" || type === "lease.granted" || (type === "dns.updated" && data.added.length > 0);

function takeBack(change: Change, now: State, how: Pick<RevertTerms, "at" | "revoke" | "lapse">): Taken {
  const since = { ...viewsOf(change, now), givenUp: givenUpIn(change.later) };
  const objects = objectsOf(change.records.map((record) => record.event));
  const hindered = new Map<string, Hindrance>();
  for (;;) {
    const own = new Set([...objects.keys()].filter((ref) => !hindered.has(ref)));
    const found = attempt(objects, { ...since, ...how, own });
    if (found.hindered.size === 0) return { events: found.events, hindered };
    // What stays may now be in the way of others of the same change.
    for (const [ref, hindrance] of found.hindered) hindered.set(ref, hindrance);
  }
}

/** Of no use to whom the change took it, if it was given back meanwhile and then given up. */
const givenUpIn = (later: readonly PortreeveRecord[]): ReadonlySet<string> =>
  new Set(
    later.flatMap(({ event: { type, data } }) =>
      type === "lease.released" && data.reason === "client" ? [`${data.mappingId} ${data.claimKey}`] : [],
    ),
  );

const STAGES: readonly Stage[] = ["take away", "edit", "give back"];

function attempt(objects: ReadonlyMap<string, ObjectRef>, terms: RevertTerms): Taken {
  const events: PortreeveEvent[] = [];
  const hindered = new Map<string, Hindrance>();
  // A device and its subnet may both close the same port.
  const released = new Set<string>();
  const isNew = ({ type, data }: PortreeveEvent): boolean => {
    if (type !== "lease.released" && type !== "record.removed") return true;
    const lease = type === "record.removed" ? data.id : `${data.mappingId} ${data.claimKey}`;
    return !released.has(lease) && released.add(lease).size > 0;
  };
  const inOrder = [...objects].filter(([ref]) => terms.own.has(ref)).sort(byKind);
  for (const stage of STAGES) {
    for (const [ref, { kind, key }] of stage === "take away" ? inOrder.toReversed() : inOrder) {
      if (kind.stage(key, terms) !== stage) continue;
      const reverted = kind.revert(key, terms);
      if ("why" in reverted) hindered.set(ref, reverted);
      else events.push(...reverted.filter(isNew));
    }
  }
  return { events, hindered };
}

const byKind = ([, a]: [string, ObjectRef], [, b]: [string, ObjectRef]): number => rank(a) - rank(b);

const RENEWED: ReadonlySet<string> = new Set(["leases.renewed", "records.renewed"]);

/** Deadlines that the change only wrote down were so before it. */
function viewsOf({ records, before: start }: Change, now: State): Views {
  const before = forkState(start);
  let index = 0;
  while (RENEWED.has(records[index]?.event.type ?? "")) foldInto(before, records[index++] as PortreeveRecord);
  sealState(before);
  const after = forkState(before);
  for (const record of records.slice(index)) foldInto(after, record);
  return { before, after: sealState(after), now };
}

const rank = ({ kind }: ObjectRef): number => OBJECT_KINDS.indexOf(kind);

function answerFor(events: readonly PortreeveEvent[]): Answer {
  const ids = [...objectsOf(events).values()].flatMap(({ kind, key }) => (kind.name === "port" ? [key] : []));
  return ids.length === 0 ? { kind: "done" } : { kind: "ids", ids };
}

function dependents(ref: string, { why, by }: Hindrance, change: Change, now: State): Decision {
  const records = recordsOf(change.later, new Set(by.length === 0 ? [ref] : by));
  const undone = undoneBy(change);
  if (undone !== null) return { ok: false, refusal: undone };
  const named = records.length === 0 ? "" : `: ${namesOf(records)}. Take that back first`;
  const message = `${calledIn(ref, change, now)} can't become what it was: ${why}${named}`;
  return refuse("UNDO_CONFLICT", message, { conflicts: records.map(({ seq }) => String(seq)) });
}

function nothingLeft(change: Change): Decision {
  const undone = undoneBy(change);
  if (undone !== null) return { ok: false, refusal: undone };
  const refs = new Set(objectsOf(change.records.map((record) => record.event)).keys());
  const records = recordsOf(change.later, refs);
  const named = records.length === 0 ? "it changed nothing that is still there" : `since then: ${namesOf(records)}`;
  return refuse("UNDO_CONFLICT", `nothing is left to undo of record ${change.records[0]?.seq}; ${named}`, {
    conflicts: records.map(({ seq }) => String(seq)),
  });
}

function undoneBy({ records, later }: Change): Refusal | null {
  const seq = records[0]?.seq;
  const undoing = later.findLast(({ causedBy }) => causedBy === seq);
  if (undoing === undefined) return null;
  // What the clock took back nobody decided: it is not brought back, but made again.
  const next = undoing.source.startsWith("api:")
    ? `; \`portreeve revert ${undoing.seq}\` brings it back`
    : ", as nobody confirmed it in time";
  const message = `record ${seq} was undone already, by record ${undoing.seq}${next}`;
  return { code: "UNDO_CONFLICT", message, conflicts: [String(undoing.seq)] };
}

const recordsOf = (later: readonly PortreeveRecord[], refs: ReadonlySet<string>): PortreeveRecord[] =>
  later.filter(({ event }) => [...objectsOf([event]).keys()].some((ref) => refs.has(ref)));

function namesOf(records: readonly PortreeveRecord[]): string {
  const names = records
    .slice(0, NAMED_MAX)
    .map(({ seq, event, source }) => `record ${seq} (${event.type} by ${source})`);
  const more = records.length - names.length;
  return `${names.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

function calledIn(ref: string, change: Change, now: State): string {
  const object = objectsOf(change.records.map((record) => record.event)).get(ref);
  return object === undefined ? ref : nameOf(object, now, change.before);
}
