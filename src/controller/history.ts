import type { Seq } from "../events/envelope.ts";
import type { PortreeveRecord } from "../events/index.ts";
import type { EventLog, LogHead } from "../events/log.ts";
import { corrupt } from "../events/log-fault.ts";
import type { SnapshotHeader, SnapshotStore } from "../events/snapshot.ts";
import { PortreeveError } from "../lib/errors.ts";
import { changeOf, lastOfOperator } from "./change.ts";
import type { Change } from "../reducers/decide/undo.ts";
import { replay } from "../reducers/fold.ts";
import { stateFromJson } from "../reducers/state-json.ts";
import { stateFromLines } from "../reducers/state-lines.ts";
import { liftState } from "../reducers/state-lift.ts";
import { initialState, REDUCER_VERSION, type State } from "../reducers/state.ts";

export type ReadableLog = Pick<EventLog, "base" | "head" | "read" | "readableAfter">;

/** Records read between two turns of the event loop: a millisecond or two. */
const RECORDS_AT_ONCE = 100;

/** The same log for a reader who has time: whoever waits for the event loop comes first. */
export function gently(log: ReadableLog): ReadableLog {
  const read: ReadableLog["read"] = async function* (after, options) {
    for await (const record of log.read(after, options)) {
      yield record;
      if (record.seq % RECORDS_AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return {
    get base() {
      return log.base;
    },
    get head() {
      return log.head;
    },
    read,
    readableAfter: () => log.readableAfter(),
  };
}

/** What a request may have folded: half a minute of work beside everybody else's. */
const FOLDED_MAX = 2_000_000;

/**
 * The state up to `to`, from the newest snapshot at or before it that this fold wrote and that belongs to this very
 * log. A snapshot that fits nothing is passed over: the log can be folded again.
 */
export async function stateAt(
  log: ReadableLog,
  snapshots: SnapshotStore,
  to: Seq,
  foldedMax = Number.POSITIVE_INFINITY,
): Promise<State> {
  for (const header of await snapshots.list()) {
    const { seq, reducerVersion } = header;
    if (seq > to || reducerVersion !== REDUCER_VERSION || !(await belongs(log, header))) continue;
    refuseBeyond(foldedMax, seq, to);
    const snapshot = await snapshots.open(seq);
    if (snapshot === undefined) continue;
    const state = await stateFromLines(snapshot.lines);
    return await replay(log.read(seq, { to }), state);
  }
  refuseBeyond(foldedMax, (await log.readableAfter()) === 0 ? 0 : log.base.seq, to);
  return await refold(log, snapshots, to);
}

function refuseBeyond(foldedMax: number, from: Seq, to: Seq): void {
  if (to - from <= foldedMax) return;
  const message = `the state at ${to} is ${to - from} records after the last one that is saved, more than are folded while others wait. \`portreeve replay --data-dir DIR --to ${to} --state\` shows it, beside the daemon`;
  throw new PortreeveError("INVALID_REQUEST", message, "refused");
}

/** The state up to `to`, folded from the first record; of a compacted log without its archive, from its base. */
export async function refold(log: ReadableLog, snapshots: SnapshotStore, to: Seq): Promise<State> {
  const state = await firstState(log, snapshots, to);
  return await replay(log.read(state.seq, { to }), state);
}

/** Folds as far as the log is whole. What was folded before the fault is the best that is known. */
export async function salvageState(
  log: ReadableLog,
  snapshots: SnapshotStore,
): Promise<{ state: State; fault: PortreeveError | null }> {
  let state = initialState();
  try {
    state = await firstState(log, snapshots, log.head.seq);
    await replay(log.read(state.seq), state);
    return { state, fault: null };
  } catch (cause) {
    if (cause instanceof PortreeveError) return { state, fault: cause };
    throw cause;
  }
}

/**
 * What a fold begins with. Once records are gone the snapshot at the base is no cache any more but data, which later
 * versions of the fold must be able to read: it is lifted to the current one.
 */
async function firstState(log: ReadableLog, snapshots: SnapshotStore, to: Seq): Promise<State> {
  const after = await log.readableAfter();
  if (after === 0) return initialState();
  const { base } = log;
  const saved = base.seq <= to ? await savedAt(snapshots, base) : undefined;
  if (saved !== undefined) return saved;
  const why = `records up to ${after} are neither in the log nor in the archive`;
  if (to < base.seq) {
    throw new PortreeveError(
      "NOT_FOUND",
      `the state at ${to} can't be told any more: ${why}. From ${base.seq} on it can`,
      "refused",
    );
  }
  throw corrupt(
    base.seq + 1,
    `${why}, and the snapshot at record ${base.seq}, which stands for them, is missing or damaged`,
  );
}

async function savedAt(snapshots: SnapshotStore, { seq, hash }: LogHead): Promise<State | undefined> {
  const text = await snapshots.open(seq);
  if (text === undefined || text.chainHash !== hash) return undefined;
  if (text.reducerVersion === REDUCER_VERSION) return await stateFromLines(text.lines);
  const snapshot = await snapshots.read(seq);
  return snapshot === undefined ? undefined : stateFromJson(liftState(snapshot.state, snapshot.reducerVersion));
}

async function belongs(log: ReadableLog, { seq, chainHash }: SnapshotHeader): Promise<boolean> {
  return (await chainHashAt(log, seq).catch(goneAsUndefined)) === chainHash;
}

function goneAsUndefined(cause: unknown): undefined {
  if (!(cause instanceof PortreeveError) || cause.code !== "NOT_FOUND") throw cause;
}

/** Undefined beyond the log's end; rejects with NOT_FOUND where the record is no longer there. */
export async function chainHashAt(log: ReadableLog, seq: Seq): Promise<string | undefined> {
  return seq === log.base.seq ? log.base.hash : (await recordAt(log, seq))?.hash;
}

export async function recordAt(log: ReadableLog, seq: Seq): Promise<PortreeveRecord | undefined> {
  if (seq < 1 || seq > log.head.seq) return undefined;
  for await (const record of log.read(seq - 1, { to: seq })) return record;
  return undefined;
}

export interface HistoryCheck {
  readonly ok: boolean;
  /** Records up to this one are neither in the log nor in the archive. */
  readonly after: Seq;
  readonly records: number;
  readonly head: LogHead;
  readonly faults: { seq: Seq | null; code: string; message: string }[];
}

/** The past, read from the log and its snapshots. */
export class History {
  readonly #log: ReadableLog;
  readonly #snapshots: SnapshotStore;

  constructor(log: ReadableLog, snapshots: SnapshotStore) {
    this.#log = gently(log);
    this.#snapshots = snapshots;
  }

  get head(): LogHead {
    return this.#log.head;
  }

  get base(): LogHead {
    return this.#log.base;
  }

  readableAfter(): Promise<Seq> {
    return this.#log.readableAfter();
  }

  records(after: Seq, to?: Seq): AsyncIterable<PortreeveRecord> {
    return this.#log.read(after, to === undefined ? {} : { to });
  }

  record(seq: Seq): Promise<PortreeveRecord | undefined> {
    return recordAt(this.#log, seq);
  }

  stateAt(seq: Seq): Promise<State> {
    return stateAt(this.#log, this.#snapshots, seq, FOLDED_MAX);
  }

  /** What one request logged, with what is needed to take it back. */
  change(seq: Seq): Promise<Change> {
    return changeOf(this, seq);
  }

  lastOfOperator(): Promise<Seq | null> {
    return lastOfOperator(this);
  }

  async verify(): Promise<HistoryCheck> {
    const { head } = this.#log;
    const after = await this.#log.readableAfter();
    let records = after;
    try {
      for await (const record of this.#log.read(after, { to: head.seq })) records = record.seq;
      return { ok: true, after, records, head, faults: [] };
    } catch (cause) {
      if (!(cause instanceof PortreeveError)) throw cause;
      const faults = [{ seq: records + 1, code: cause.code, message: cause.message }];
      return { ok: false, after, records, head, faults };
    }
  }
}
