import type { Seq } from "../events/envelope.ts";
import type { PortreeveRecord } from "../events/index.ts";
import type { EventLog, LogHead } from "../events/log.ts";
import type { Snapshot, SnapshotHeader, SnapshotStore } from "../events/snapshot.ts";
import { keepNewest } from "../events/snapshot-store.ts";
import { PortreeveError } from "../lib/errors.ts";
import { foldInto, replay } from "../reducers/fold.ts";
import { stateFromJson, stateHash, stateToJson } from "../reducers/state-json.ts";
import { initialState, REDUCER_VERSION, type State } from "../reducers/state.ts";

const SNAPSHOTS_KEPT = 2;

type ReadableLog = Pick<EventLog, "head" | "read">;

/**
 * The state up to `to`, from the newest snapshot at or before it that this fold wrote and that belongs to this very
 * log. A snapshot that fits nothing is passed over: the log can always be folded from its first record.
 */
export async function stateAt(log: ReadableLog, snapshots: SnapshotStore | null, to: Seq): Promise<State> {
  const base = snapshots === null ? null : await fittingSnapshot(log, snapshots, to);
  const state = base === null ? initialState() : stateFromJson(base.state);
  return replay(log.read(state.seq, { to }), state);
}

/** Folds as far as the log is whole. What was folded before the fault is the best that is known. */
export async function salvageState(log: ReadableLog): Promise<{ state: State; fault: PortreeveError | null }> {
  const state = initialState();
  try {
    for await (const record of log.read(0)) foldInto(state, record);
    return { state, fault: null };
  } catch (cause) {
    if (cause instanceof PortreeveError) return { state, fault: cause };
    throw cause;
  }
}

async function fittingSnapshot(log: ReadableLog, snapshots: SnapshotStore, to: Seq): Promise<Snapshot | null> {
  for (const { seq, chainHash, reducerVersion } of await snapshots.list()) {
    if (seq > to || reducerVersion !== REDUCER_VERSION) continue;
    if ((await recordAt(log, seq))?.hash !== chainHash) continue;
    const snapshot = await snapshots.read(seq);
    if (snapshot !== undefined) return snapshot;
  }
  return null;
}

async function recordAt(log: ReadableLog, seq: Seq): Promise<PortreeveRecord | undefined> {
  if (seq < 1 || seq > log.head.seq) return undefined;
  for await (const record of log.read(seq - 1, { to: seq })) return record;
  return undefined;
}

export interface HistoryCheck {
  readonly ok: boolean;
  readonly records: number;
  readonly head: LogHead;
  readonly faults: { seq: Seq | null; code: string; message: string }[];
}

/** The past, read from the log and its snapshots. */
export class History {
  readonly #log: ReadableLog;
  readonly #snapshots: SnapshotStore;

  constructor(log: ReadableLog, snapshots: SnapshotStore) {
    this.#log = log;
    this.#snapshots = snapshots;
  }

  get head(): LogHead {
    return this.#log.head;
  }

  records(after: Seq, to?: Seq): AsyncIterable<PortreeveRecord> {
    return this.#log.read(after, to === undefined ? {} : { to });
  }

  record(seq: Seq): Promise<PortreeveRecord | undefined> {
    return recordAt(this.#log, seq);
  }

  stateAt(seq: Seq): Promise<State> {
    return stateAt(this.#log, this.#snapshots, seq);
  }

  async verify(): Promise<HistoryCheck> {
    const { head } = this.#log;
    let records = 0;
    try {
      for await (const record of this.#log.read(0, { to: head.seq })) records = record.seq;
      return { ok: true, records, head, faults: [] };
    } catch (cause) {
      if (!(cause instanceof PortreeveError)) throw cause;
      const faults = [{ seq: records + 1, code: cause.code, message: cause.message }];
      return { ok: false, records, head, faults };
    }
  }
}

/** Snapshots of the running controller. */
export class SnapshotKeeper {
  readonly #store: SnapshotStore;
  readonly #log: ReadableLog;
  readonly #current: () => State;

  constructor(store: SnapshotStore, log: ReadableLog, current: () => State) {
    this.#store = store;
    this.#log = log;
    this.#current = current;
  }

  list(): Promise<readonly SnapshotHeader[]> {
    return this.#store.list();
  }

  read(seq: Seq): Promise<Snapshot | undefined> {
    return this.#store.read(seq);
  }

  async create(): Promise<SnapshotHeader> {
    const state = this.#current();
    const chainHash = (await recordAt(this.#log, state.seq))?.hash;
    if (chainHash === undefined)
      throw new PortreeveError("NOT_FOUND", "there is no event yet to save a fold of", "refused");
    const header = { seq: state.seq, at: state.at, chainHash, reducerVersion: REDUCER_VERSION };
    await this.#store.write({ ...header, state: stateToJson(state) });
    await keepNewest(this.#store, SNAPSHOTS_KEPT);
    return header;
  }

  /** Folds the log from its first record and compares. */
  async verify(seq: Seq): Promise<SnapshotVerdict> {
    const snapshot = await this.#store.read(seq);
    if (snapshot === undefined) {
      const message = "there is no such snapshot, or its file is damaged";
      return { ok: false, seq, hash: null, replayedHash: null, message };
    }
    const hash = stateHash(stateFromJson(snapshot.state));
    const replayedHash = stateHash(await stateAt(this.#log, null, seq));
    const sameChain = (await recordAt(this.#log, seq))?.hash === snapshot.chainHash;
    const ok = sameChain && hash === replayedHash;
    const message = ok
      ? "the snapshot is the fold of the log"
      : sameChain
        ? "the snapshot is another state than the log folds into; it is not used where its reducer version differs"
        : "the snapshot belongs to another log";
    return { ok, seq, hash, replayedHash, message };
  }
}

export interface SnapshotVerdict {
  readonly ok: boolean;
  readonly seq: Seq;
  readonly hash: string | null;
  readonly replayedHash: string | null;
  readonly message: string;
}
