import { assert } from "../../lib/assert.ts";
import { PortreeveError } from "../../lib/errors.ts";
import { type DataDir, dataDirAt } from "../data-dir.ts";
import type { Seq } from "../envelope.ts";
import type { PortreeveRecord } from "../index.ts";
import type { EventLog, LogBatch, LogHead } from "../log.ts";
import { corrupt, logClosed, movedOn, writeFailed } from "../log-fault.ts";
import { encodeRecord } from "../record.ts";
import type { AnswerIndex } from "./answers.ts";
import { Archive } from "./archive.ts";
import { findHead } from "./chain.ts";
import { archiveRecords, removalOps } from "./compaction.ts";
import { baseOf, type Genesis, readGenesis, withBase } from "./genesis.ts";
import { eventKey } from "./keys.ts";
import { type LockGuard, locked } from "./lock.ts";
import {
  compareWithMark,
  dropAbove,
  type LogNotice,
  markClean,
  type Opened,
  openAndCheck,
  openScanned,
} from "./log-open.ts";
import { readAll } from "./log-read.ts";
import { type OpenStorage, openLevelStorage, type Storage, type StorageOp } from "./storage.ts";
import type { Witness } from "./witness.ts";

export interface LevelLogOptions {
  /** Check the whole chain at the open. */
  readonly verify?: boolean;
  /** As `OpenOptions` has it: the whole chain is checked, and what the witness knows beyond its end is given up. */
  readonly accept?: boolean;
  /** Told what an operator may want to know and nothing fails for. */
  readonly notice?: (notice: LogNotice) => void;
  /** Another store under the log: tests let it fail. */
  readonly openStorage?: OpenStorage;
}

/**
 * The event log in `<dataDir>/log`, made if there is none. Rejects with LOG_LOCKED, LOG_CORRUPT, LOG_NEWER_VERSION or,
 * if the disk cannot be written, LOG_WRITE_FAILED; an open that rejects leaves every acknowledged record as it is.
 */
export async function openLevelLog(dataDir: string, options: LevelLogOptions = {}): Promise<EventLog> {
  const { verify = false, accept = false, notice = () => {}, openStorage = openLevelStorage } = options;
  const opened = await openAndCheck(dataDir, { verify, accept, notice, openStorage });
  return new LevelLog(dataDirAt(dataDir), opened, { notice, openStorage });
}

class LevelLog implements EventLog {
  readonly instanceId: string;
  readonly #dir: DataDir;
  readonly #options: Required<Pick<LevelLogOptions, "notice" | "openStorage">>;
  readonly #answers: AnswerIndex;
  readonly #witness: Witness;
  readonly #archive: Archive;
  #genesis: Genesis;
  #guard: LockGuard;
  /** Null from a write error until the store has been reopened and looked at. */
  #storage: Storage | null;
  #head: LogHead;
  /** Request ids whose answers a failed batch may have left in the store. */
  #refused = new Set<string>();
  /** Why this log can never be written again. */
  #ended: PortreeveError | null = null;
  #last: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | null = null;

  constructor(dir: DataDir, opened: Opened, options: Required<Pick<LevelLogOptions, "notice" | "openStorage">>) {
    this.instanceId = opened.genesis.instanceId;
    this.#dir = dir;
    this.#options = options;
    this.#archive = new Archive(dir.archive);
    this.#genesis = opened.genesis;
    this.#answers = opened.answers;
    this.#witness = opened.witness;
    this.#guard = opened.guard;
    this.#storage = opened.storage;
    this.#head = opened.head;
  }

  get head(): LogHead {
    return this.#head;
  }

  get base(): LogHead {
    return baseOf(this.#genesis);
  }

  append(batch: LogBatch): Promise<readonly PortreeveRecord[]> {
    return this.#inTurn(() => this.#append(batch));
  }

  read(after: Seq, options: { readonly to?: Seq } = {}): AsyncIterable<PortreeveRecord> {
    const head = this.#head;
    const source = { storage: () => this.#readable(), archive: this.#archive, base: () => this.base };
    return readAll(source, { after, to: options.to ?? head.seq, head });
  }

  readableAfter(): Promise<Seq> {
    return this.#archive.readableAfter(this.base.seq);
  }

  async compact(to: Seq): Promise<void> {
    assert(to <= this.#head.seq, "a log is compacted beyond its end");
    if (to <= this.base.seq) return;
    // Not in turn: what is copied never changes, and appends need not wait for it.
    const base = await archiveRecords(() => this.#readable(), this.#archive, this.base, to);
    while (await this.#inTurn(() => this.#removeBefore(base)));
  }

  async answerOf(requestId: string): Promise<unknown> {
    // Asked before each change, and nearly always there is none.
    if (this.#storage !== null && !this.#answers.has(requestId)) return undefined;
    return this.#answers.read(await this.#readable(), requestId);
  }

  checkLock(): void {
    if (this.#ended !== null) throw this.#ended;
    this.#assertStillLocked();
  }

  close(): Promise<void> {
    this.#closing ??= this.#inTurn(() => this.#close());
    return this.#closing;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** The store, once a recovery that may be under way is over; one that failed is tried again. */
  async #readable(): Promise<Storage> {
    if (this.#storage === null && this.#ended === null) {
      return await this.#inTurn(async () => {
        if (this.#ended !== null) throw this.#ended;
        return this.#storage ?? this.#reopen();
      });
    }
    if (this.#storage !== null) return this.#storage;
    throw this.#ended ?? logClosed();
  }

  async #append(batch: LogBatch): Promise<readonly PortreeveRecord[]> {
    if (this.#ended !== null) throw this.#ended;
    const storage = this.#storage ?? (await this.#reopen());
    const { expectedHead, records, answers } = batch;
    if (expectedHead !== this.#head.seq) throw movedOn(expectedHead, this.#head.seq);
    this.#assertStillLocked();
    let head = this.#head;
    const ops: StorageOp[] = [];
    const made = records.map((pending) => {
      const { text, record } = encodeRecord(pending, head.seq + 1, head.hash);
      head = { seq: record.seq, hash: record.hash };
      ops.push({ type: "put", key: eventKey(head.seq), value: text });
      return record;
    });
    ops.push(...this.#answers.opsFor(answers, head.seq));
    if (ops.length === 0) return made;
    try {
      await storage.write(ops);
      if (made.length > 0) await this.#witness.write({ ...head, refusedAbove: false });
    } catch (cause) {
      for (const { requestId } of answers) this.#refused.add(requestId);
      await this.#distrust(storage, cause);
      throw writeFailed("the event log could not be written; nothing of the batch is in it", cause);
    }
    this.#head = head;
    this.#answers.remember(answers, head.seq);
    return made;
  }

  /** False once there is nothing left to remove. */
  async #removeBefore(base: LogHead): Promise<boolean> {
    if (this.#ended !== null) throw this.#ended;
    const storage = this.#storage ?? (await this.#reopen());
    const ops = await removalOps(storage, this.#genesis, base);
    if (ops === null) return false;
    this.#assertStillLocked();
    try {
      await storage.write(ops);
    } catch (cause) {
      await this.#distrust(storage, cause);
      throw writeFailed("the event log could not be compacted; every record is still in it or in the archive", cause);
    }
    if (this.base.seq < base.seq) this.#genesis = withBase(this.#genesis, base);
    return true;
  }

  #assertStillLocked(): void {
    try {
      this.#guard.check();
    } catch (cause) {
      throw isFinal(cause) ? this.#end(cause) : cause;
    }
  }

  /**
   * After any write error nothing that LevelDB says is believed: it goes on acknowledging writes that its own recovery
   * will not find. So: close, reopen, look. The batch was refused to its caller, so what got in of it goes out again.
   */
  async #distrust(storage: Storage, cause: unknown): Promise<void> {
    this.#storage = null;
    // For the case that we die before the batch is out, or cannot get it out.
    await this.#witness
      .write({ ...this.#head, refusedAbove: true })
      .then(() => this.#witness.sync())
      .catch(() => {});
    await storage.close().catch(() => {});
    this.#options.notice({
      message: `the event log is reopened after a write error: ${String(cause)}`,
      seq: this.#head.seq,
    });
    // If that fails too, the next append tries again; only what is final goes up from here.
    await this.#reopen().catch((failure: unknown) => {
      if (this.#ended !== null) throw failure;
    });
  }

  async #reopen(): Promise<Storage> {
    let opened: { readonly storage: Storage; readonly guard: LockGuard };
    try {
      // The tables were looked at when the log was opened.
      opened = await openScanned(this.#dir, this.#options.openStorage, 0);
    } catch (cause) {
      throw isFinal(cause) ? this.#end(cause) : writeFailed("the event log cannot be reopened yet", cause);
    }
    const { storage, guard } = opened;
    try {
      await this.#takeOut(storage);
    } catch (cause) {
      await storage.close().catch(() => {});
      throw isFinal(cause) ? this.#end(cause) : writeFailed("the event log could not be put in order yet", cause);
    }
    this.#refused = new Set();
    this.#guard = guard;
    this.#storage = storage;
    return storage;
  }

  /** Makes the store end exactly where its acknowledgements do. */
  async #takeOut(storage: Storage): Promise<void> {
    // While it was shut we held no lock: what is beyond our head may be what another process acknowledged.
    if (await this.#witness.writtenByOthers())
      throw locked("another process wrote this event log while a write error kept us from it, so we stopped");
    const head = this.#head;
    const genesis = await readGenesis(storage);
    if (genesis === undefined) throw corrupt(1, "the log's own description is missing");
    // A write that failed while it moved the base may have moved it.
    this.#genesis = genesis;
    const found = await findHead(storage, this.base);
    await compareWithMark(storage, this.base, found, head);
    await dropAbove(storage, head, found, this.#answers.opsToDropAfter(head.seq, this.#refused));
  }

  #end(cause: unknown): PortreeveError {
    this.#ended = cause as PortreeveError;
    return this.#ended;
  }

  async #close(): Promise<void> {
    const orderly = this.#ended === null && this.#storage !== null;
    this.#ended ??= logClosed();
    await this.#storage?.close();
    this.#storage = null;
    await this.#witness.close();
    if (orderly) await markClean(this.#dir);
  }
}

const isFinal = (cause: unknown): boolean => cause instanceof PortreeveError && cause.disposition === "fatal";
