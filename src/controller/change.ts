import type { Seq } from "../events/envelope.ts";
import type { PortreeveRecord } from "../events/index.ts";
import { PortreeveError } from "../lib/errors.ts";
import type { Change } from "../reducers/decide/undo.ts";
import { objectsOf } from "../reducers/objects/index.ts";
import type { State } from "../reducers/state.ts";

/** What of the past is needed to take something of it back. */
export interface Past {
  readonly head: { readonly seq: Seq };
  readableAfter(): Promise<Seq>;
  records(after: Seq, to?: Seq): AsyncIterable<PortreeveRecord>;
  record(seq: Seq): Promise<PortreeveRecord | undefined>;
  stateAt(seq: Seq): Promise<State>;
}

/** Records after a change that are kept to name those that stand in its way: the newest. */
const LATER_MAX = 10_000;
/** How many records are read at once when looking backwards; each further window is twice as long. */
const WINDOW_FIRST = 64;
const WINDOW_MAX = 8192;

/** The change that a record belongs to: what one request logged in one go. Rejects with NOT_FOUND if there is none. */
export async function changeOf(past: Past, seq: Seq): Promise<Change> {
  const record = await past.record(seq);
  if (record === undefined) {
    throw new PortreeveError("NOT_FOUND", `there is no record ${seq}; the log goes to ${past.head.seq}`, "refused");
  }
  const first = await firstOf(past, record);
  const records: PortreeveRecord[] = [];
  let later: PortreeveRecord[] = [];
  for await (const each of past.records(first - 1)) {
    if (each.seq === first + records.length && sameRequest(each, record)) records.push(each);
    else if (objectsOf([each.event]).size > 0) later.push(each);
    if (later.length >= 2 * LATER_MAX) later = later.slice(-LATER_MAX);
  }
  return { records, before: await past.stateAt(first - 1), later: later.slice(-LATER_MAX) };
}

/** The last change that an operator made to something; null: none is in the log any more. */
export async function lastOfOperator(past: Past): Promise<Seq | null> {
  // What nobody confirmed was taken back by the clock, and is done with.
  const lapsed = new Set<Seq>();
  let passed = Number.POSITIVE_INFINITY;
  for await (const record of backwards(past, past.head.seq)) {
    const byOperator = record.source.startsWith("api:");
    if (record.causedBy !== null && !byOperator) lapsed.add(record.causedBy);
    if (!byOperator || record.seq >= passed || objectsOf([record.event]).size === 0) continue;
    passed = await firstOf(past, record);
    if (!lapsed.has(passed)) return record.seq;
  }
  return null;
}

/** Where the records of one request begin. */
async function firstOf(past: Past, record: PortreeveRecord): Promise<Seq> {
  let first = record.seq;
  for await (const before of backwards(past, record.seq - 1)) {
    if (!sameRequest(before, record)) break;
    first = before.seq;
  }
  return first;
}

const sameRequest = (left: PortreeveRecord, right: PortreeveRecord): boolean =>
  left.requestId === right.requestId && left.source === right.source;

async function* backwards(past: Past, from: Seq): AsyncGenerator<PortreeveRecord> {
  const floor = await past.readableAfter();
  let [end, window] = [from, WINDOW_FIRST];
  while (end > floor) {
    const after = Math.max(floor, end - window);
    const records: PortreeveRecord[] = [];
    for await (const record of past.records(after, end)) records.push(record);
    yield* records.reverse();
    [end, window] = [after, Math.min(window * 2, WINDOW_MAX)];
  }
}
