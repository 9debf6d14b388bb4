import type { Seq, StoredRecord } from "../envelope.ts";
import { parseInstant } from "../instant.ts";
import type { LogHead } from "../log.ts";
import { LogFault } from "../log-fault.ts";
import { decodeStored, hashOf, parseStored } from "../record.ts";
import type { SnapshotHeader } from "../snapshot.ts";
import type { RawEntries } from "./files/raw-entries.ts";
import { EVENT_KEY_MAX, eventKey, seqOfKey } from "./keys.ts";
import type { WitnessMark } from "./witness.ts";

/** A point at which a state is known. */
export interface Start extends LogHead {
  /** What it begins with; null: with what the old log began with. */
  readonly snapshot: SnapshotHeader | null;
}

/** Records that hold together from where a state is known. */
export interface Trail {
  readonly start: Start;
  readonly head: LogHead;
  /** When its last record was written, Unix milliseconds; of one without records, its snapshot. */
  readonly at: number;
  /** Those that are of this very log. */
  readonly snapshots: readonly SnapshotHeader[];
}

export interface Trails {
  /** How far each start leads, in the order given. */
  readonly trails: readonly Trail[];
  /** The last record of which anything is there, whether it follows from a start or not; 0: none. */
  readonly lastSeq: Seq;
  /** The identity of the log, as any start of the controller has recorded it. */
  readonly instanceId: string | null;
}

export interface Walk {
  readonly entries: RawEntries;
  readonly starts: readonly Start[];
  readonly snapshots: readonly SnapshotHeader[];
  readonly mark: WitnessMark | null;
  /** No trail leads beyond this record. */
  readonly until: Seq;
}

/** Follows the records from every start at once, in one walk over them. */
export function followTrails({ entries, starts, snapshots, mark, until }: Walk): Trails {
  const trails = starts.map((start) => new Following(start));
  const saved = new Map(snapshots.map((snapshot) => [snapshot.seq, snapshot]));
  for (const trail of trails) trail.note(saved.get(trail.head.seq));
  let lastSeq = 0;
  let instanceId: string | null = null;
  for (const [key, text] of entries.between(eventKey(0), EVENT_KEY_MAX)) {
    const seq = seqOfKey(key);
    lastSeq = seq;
    const waiting = seq <= until ? trails.filter(({ head }) => head.seq + 1 === seq) : [];
    const names = instanceId === null && text.includes('"controller.started"');
    if (waiting.length === 0 && !names) continue;
    const stored = wholeRecord(seq, text, waiting.length > 0);
    if (stored === null) continue;
    if (stored.type === "controller.started") instanceId ??= (stored.data as { instanceId: string }).instanceId;
    if (waiting.length === 0) continue;
    const head = { seq, hash: hashOf(text) };
    if (mark?.seq === seq && mark.hash !== head.hash) continue;
    for (const trail of waiting) if (trail.goOn(stored, head)) trail.note(saved.get(seq));
  }
  return { trails, lastSeq, instanceId };
}

class Following implements Trail {
  readonly start: Start;
  readonly snapshots: SnapshotHeader[] = [];
  head: LogHead;
  #last: StoredRecord | null = null;

  constructor(start: Start) {
    this.start = start;
    this.head = { seq: start.seq, hash: start.hash };
  }

  get at(): number {
    if (this.#last === null) return this.start.snapshot?.at ?? 0;
    return parseInstant(this.#last.at) ?? 0;
  }

  goOn(next: StoredRecord, head: LogHead): boolean {
    if (next.prevHash !== this.head.hash) return false;
    this.head = head;
    this.#last = next;
    return true;
  }

  note(snapshot: SnapshotHeader | undefined): void {
    if (snapshot?.chainHash === this.head.hash) this.snapshots.push(snapshot);
  }
}

/** A record of a newer version is no damage: where one is `needed` it ends the salvage. */
function wholeRecord(seq: Seq, text: string, needed: boolean): StoredRecord | null {
  try {
    const stored = parseStored(seq, text);
    decodeStored(stored, "");
    return stored;
  } catch (cause) {
    if (cause instanceof LogFault && (cause.code === "LOG_CORRUPT" || !needed)) return null;
    throw cause;
  }
}
