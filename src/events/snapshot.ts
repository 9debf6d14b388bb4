import type { Seq } from "./envelope.ts";

/** What a saved fold is of, and bound to. */
export interface SnapshotHeader {
  readonly seq: Seq;
  /** Chain hash of record `seq`: a snapshot of another history never matches. */
  readonly chainHash: string;
  /** Gateway time of record `seq`, Unix milliseconds. */
  readonly at: number;
  /** Which fold wrote it; another one's snapshot is not used. */
  readonly reducerVersion: number;
}

/** A saved fold. */
export interface Snapshot extends SnapshotHeader {
  /** State as `stateToJson` gives it. */
  readonly state: unknown;
}

/** A saved fold that is too large to be read at once. */
export interface SnapshotText extends SnapshotHeader {
  /** The text of the state, line by line as it was written; to be read once. */
  readonly lines: AsyncIterable<string>;
}

/** Where snapshots are kept, beside the log. */
export interface SnapshotStore {
  /** `state` is JSON in pieces, each small enough to be made and hashed between two requests. */
  write(header: SnapshotHeader, state: Iterable<string>): Promise<void>;
  /** Newest first, without their states. */
  list(): Promise<readonly SnapshotHeader[]>;
  read(seq: Seq): Promise<Snapshot | undefined>;
  open(seq: Seq): Promise<SnapshotText | undefined>;
  remove(seq: Seq): Promise<void>;
}
