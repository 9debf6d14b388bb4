import type { Seq } from "../events/envelope.ts";
import type { EventLog } from "../events/log.ts";
import type { Snapshot, SnapshotHeader, SnapshotStore } from "../events/snapshot.ts";
import { keepNewest } from "../events/snapshot-store.ts";
import { PortreeveError } from "../lib/errors.ts";
import { stateFromJson, stateHash } from "../reducers/state-json.ts";
import { stateLines } from "../reducers/state-lines.ts";
import { REDUCER_VERSION, type State } from "../reducers/state.ts";
import { chainHashAt, gently, refold, type ReadableLog, stateAt } from "./history.ts";
import { mayLeave, type Retain } from "./retention.ts";

const SNAPSHOTS_KEPT = 2;

export interface SnapshotVerdict {
  readonly ok: boolean;
  readonly seq: Seq;
  readonly hash: string | null;
  readonly replayedHash: string | null;
  readonly message: string;
}

/** `checkLock`: what is written or removed beside a log that is another process's would be missing there. */
type KeptLog = ReadableLog & Pick<EventLog, "compact" | "checkLock">;

/** Snapshots of the running controller, and what the log may do without once they cover it. One thing at a time. */
export class SnapshotKeeper {
  readonly #store: SnapshotStore;
  readonly #log: KeptLog;
  readonly #current: () => State;
  #last: Promise<unknown> = Promise.resolve();

  constructor(store: SnapshotStore, log: KeptLog, current: () => State) {
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

  create(): Promise<SnapshotHeader> {
    return this.#inTurn(() => this.#create());
  }

  /** Moves old records into the archive, as far as two snapshots cover them; gives how many. */
  compact(retain: Retain, now: number): Promise<number> {
    return this.#inTurn(() => this.#compact(retain, now));
  }

  /** Folds the log from its first record and compares. */
  async verify(seq: Seq): Promise<SnapshotVerdict> {
    const snapshot = await this.#store.read(seq);
    if (snapshot === undefined) {
      const message = "there is no such snapshot, or its file is damaged";
      return { ok: false, seq, hash: null, replayedHash: null, message };
    }
    const hash = stateHash(stateFromJson(snapshot.state));
    const replayedHash = stateHash(await refold(gently(this.#log), this.#store, seq));
    const sameChain = (await chainHashAt(this.#log, seq)) === snapshot.chainHash;
    const ok = sameChain && hash === replayedHash;
    const message = ok
      ? "the snapshot is the fold of the log"
      : sameChain
        ? "the snapshot is another state than the log folds into; it is not used where its reducer version differs"
        : "the snapshot belongs to another log";
    return { ok, seq, hash, replayedHash, message };
  }

  async #create(): Promise<SnapshotHeader> {
    this.#log.checkLock();
    // Sealed: it stays as it is however long the writing takes.
    const state = this.#current();
    if (state.seq === 0) throw new PortreeveError("NOT_FOUND", "there is no event yet to save a fold of", "refused");
    const header = await this.#save(state);
    await keepNewest(this.#store, SNAPSHOTS_KEPT, this.#log.base.seq);
    return header;
  }

  async #save(state: State): Promise<SnapshotHeader> {
    const chainHash = await chainHashAt(this.#log, state.seq);
    if (chainHash === undefined) throw new PortreeveError("NOT_FOUND", `there is no record ${state.seq}`, "refused");
    const header = { seq: state.seq, at: state.at, chainHash, reducerVersion: REDUCER_VERSION };
    await this.#store.write(header, stateLines(state));
    return header;
  }

  async #compact(retain: Retain, now: number): Promise<number> {
    this.#log.checkLock();
    const { base } = this.#log;
    const covering = (await this.#store.list()).filter(({ seq }) => seq > base.seq).slice(0, SNAPSHOTS_KEPT);
    const older = covering.length < SNAPSHOTS_KEPT ? undefined : covering.at(-1);
    const to = older === undefined ? null : await mayLeave(this.#log, retain, older.seq, now);
    if (to === null) return 0;
    // Before the records go: from now on the log begins with this state.
    await this.#save(await stateAt(gently(this.#log), this.#store, to));
    await this.#log.compact(to);
    await keepNewest(this.#store, SNAPSHOTS_KEPT, to);
    return to - base.seq;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => {});
    return turn;
  }
}
