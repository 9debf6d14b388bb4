import { GENESIS_HASH, type PendingRecord, type Seq } from "./envelope.ts";
import type { PortreeveEvent, PortreeveRecord } from "./index.ts";

/** An answer to remember under its request id, so that a repeated request gets it again without being decided again. */
export interface RememberedAnswer {
  readonly requestId: string;
  /** Plain JSON. */
  readonly answer: unknown;
}

export interface LogBatch {
  /** The head the caller decided on; the log refuses with LOG_REVISION_CONFLICT if it has moved. */
  readonly expectedHead: Seq;
  readonly records: readonly PendingRecord<PortreeveEvent>[];
  readonly answers: readonly RememberedAnswer[];
}

export interface LogHead {
  readonly seq: Seq;
  readonly hash: string;
}

export const EMPTY_HEAD: LogHead = { seq: 0, hash: GENESIS_HASH };

/**
 * The event log as a port. One process, one writer, one dense sequence. Every implementation passes
 * `test/unit/events/log-contract.ts`.
 */
export interface EventLog {
  /** Identifies this log for ever; what we make in the kernel is marked with it. 16 hex digits. */
  readonly instanceId: string;
  readonly head: LogHead;
  /** The last record that has left the log; seq 0 while it holds all of them. */
  readonly base: LogHead;
  /**
   * All or nothing, durable before it resolves, head witness written. Rejects with a `PortreeveError`:
   * LOG_REVISION_CONFLICT, or LOG_WRITE_FAILED after which the log has closed, reopened and verified itself and
   * nothing of the batch is in it. Calls are serialised by the log.
   */
  append(batch: LogBatch): Promise<readonly PortreeveRecord[]>;
  /**
   * Oldest first from `after` + 1, upcast to current versions, chain verified; rejects with LOG_CORRUPT at the first
   * fault. Records that have left the log come from the archive, and where that lacks one it rejects with NOT_FOUND.
   */
  read(after: Seq, options?: { readonly to?: Seq }): AsyncIterable<PortreeveRecord>;
  /** The seq after which every record can be read, in the log or in the archive. */
  readableAfter(): Promise<Seq>;
  /** Moves the records up to `to` into the archive. Appends and reads go on meanwhile. */
  compact(to: Seq): Promise<void>;
  /** The answer remembered for a request id. */
  answerOf(requestId: string): Promise<unknown>;
  /** Throws LOG_LOCKED, now and at every later use, once another process may be writing this log. Costs microseconds. */
  checkLock(): void;
  close(): Promise<void>;
}
