import { PortreeveError } from "../../lib/errors.ts";
import type { Seq, StoredRecord } from "../envelope.ts";
import type { PortreeveRecord } from "../index.ts";
import type { LogHead } from "../log.ts";
import { corrupt, LogFault } from "../log-fault.ts";
import { decodeStored, hashOf, parseStored } from "../record.ts";
import { EVENT_KEY_MAX, eventKey, seqOfKey } from "./keys.ts";
import type { ReadableStorage, StorageEntry } from "./storage.ts";

const PAGE = 1000;

/** The last record there is, by its key; the base if there is none after it. */
export async function findHead(storage: ReadableStorage, base: LogHead): Promise<LogHead> {
  const [last] = await storage.range(eventKey(base.seq + 1), EVENT_KEY_MAX, { limit: 1, reverse: true });
  return last === undefined ? base : { seq: seqOfKey(last[0]), hash: hashOf(last[1]) };
}

/** Hash of the record at `seq`, which is the base or comes after it. */
export async function hashAt(storage: ReadableStorage, seq: Seq, base: LogHead): Promise<string> {
  if (seq === base.seq) return base.hash;
  const text = await storage.get(eventKey(seq));
  if (text === undefined) throw corrupt(seq, `record ${seq} is missing`);
  return hashOf(text);
}

export interface ChainRange {
  readonly after: Seq;
  readonly to: Seq;
  /** What the first record in the store follows; `after` is not before it. */
  readonly base: LogHead;
  /** The end of the log, whose hash is known from elsewhere. */
  readonly head: LogHead;
}

/**
 * Records from `after` + 1 to `to`, none missing, each the one that was written: a record is given only once the next
 * one's `prevHash`, or the head's hash, has vouched for its bytes. Throws a `LogFault` at the first that fails.
 * `storage` is asked for anew at each page, because the log may have been reopened in between.
 */
export async function* readChain(
  storage: () => Promise<ReadableStorage>,
  { after, to, base, head }: ChainRange,
): AsyncGenerator<PortreeveRecord> {
  if (after >= Math.min(to, head.seq)) return;
  const last = Math.min(to + 1, head.seq);
  let hash = await hashAt(await storage(), after, base);
  let held: StoredRecord | null = null;
  let next = after + 1;
  let coming = pageFrom(storage, next, last);
  try {
    while (next <= last) {
      const page = await coming;
      if (page.length === 0) throw corrupt(next, `record ${next} is missing`);
      // The store's thread fetches while this one hashes and parses.
      coming = pageFrom(storage, next + page.length, last);
      for (const [key, text] of page) {
        if (key !== eventKey(next)) throw corrupt(next, `record ${next} is missing`);
        const stored = parseStored(next, text);
        if (stored.prevHash !== hash) throw changed(next - 1, base);
        if (held !== null) yield decodeStored(held, hash);
        held = stored;
        hash = hashOf(text);
        next += 1;
      }
    }
    if (held === null || held.seq > to) return;
    if (hash !== head.hash) throw changed(held.seq, base);
    yield decodeStored(held, hash);
  } catch (cause) {
    throw cause instanceof LogFault && cause.code === "LOG_NEWER_VERSION" ? await naming(cause, storage) : cause;
  }
}

type Page = readonly StorageEntry[];

function pageFrom(storage: () => Promise<ReadableStorage>, first: Seq, last: Seq): Promise<Page> {
  if (first > last) return Promise.resolve([]);
  const page = fetchPage(storage, first, last);
  // Asked for ahead of need: whoever stops reading early never sees how it went.
  page.catch(() => {});
  return page;
}

async function fetchPage(storage: () => Promise<ReadableStorage>, first: Seq, last: Seq): Promise<Page> {
  try {
    return await (await storage()).range(eventKey(first), eventKey(last), { limit: PAGE });
  } catch (cause) {
    if (cause instanceof PortreeveError) throw cause;
    if (isPassing(cause)) {
      throw new PortreeveError("UNAVAILABLE", `the records from ${first} on could not be read now`, "transient", {
        cause,
      });
    }
    throw corrupt(first, `the records from ${first} on cannot be read`, cause);
  }
}

const changed = (seq: Seq, base: LogHead): LogFault =>
  seq === base.seq
    ? corrupt(seq + 1, `record ${seq + 1} does not follow what this log begins after`)
    : corrupt(seq, `record ${seq} is not the one that was written: its hash does not match`);

/** The same fault, with the version that wrote the record: that is the one to install. */
async function naming(fault: LogFault, storage: () => Promise<ReadableStorage>): Promise<LogFault> {
  const writer = await findWriter(await storage(), fault.seq);
  const by = writer === null ? "a newer Portreeve" : `Portreeve ${writer}`;
  return new LogFault("LOG_NEWER_VERSION", fault.seq, `${fault.message}; ${by} wrote it`, { cause: fault });
}

/** The version in the last `controller.started` before `seq`. */
async function findWriter(storage: ReadableStorage, seq: Seq): Promise<string | null> {
  for (let before = seq; before > 1; before = Math.max(1, before - PAGE)) {
    const page = await storage.range(eventKey(1), eventKey(before - 1), { limit: PAGE, reverse: true });
    for (const [key, text] of page) {
      const { type, data } = parseStored(seqOfKey(key), text);
      if (type === "controller.started") return String((data as { version?: unknown }).version);
    }
  }
  return null;
}

/** What the machine lacks for the moment, such as files to open or memory: it says nothing of what is on the disk. */
function isPassing(cause: unknown): boolean {
  const { syscall, code } = cause as NodeJS.ErrnoException;
  return syscall !== undefined && code !== "EIO";
}
