import type { ControllerPort } from "../controller/port.ts";
import type { Seq } from "../events/envelope.ts";
import type { SeqRange } from "../events/leveldb/salvage.ts";
import type { PortreeveRecord } from "../events/index.ts";
import type { Mapping } from "../reducers/state.ts";
import type { History } from "./deps.ts";
import { invalid, type RequestProblem } from "./problem.ts";
import { mappingOf } from "./views/record.ts";

/** Remembers a ring that nobody was waiting for: a commit between reading the log and waiting is not missed. */
class Bell {
  #rung = false;
  #wake: (() => void) | null = null;

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Resolves at the next ring, or the one since the last wait, or after `timeoutMs`. True if it rang. */
  async wait(timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    if (!this.#rung && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer);
          // One wait after the other on the same signal: a stream of a day would leave thousands there.
          signal.removeEventListener("abort", done);
          resolve();
        };
        const timer = setTimeout(done, timeoutMs);
        this.#wake = done;
        signal.addEventListener("abort", done, { once: true });
      });
    }
    this.#wake = null;
    const rung = this.#rung;
    this.#rung = false;
    return rung;
  }
}

/**
 * Every record after `after`, for ever, each once and in order; "idle" when nothing came for `idleMs`. It reads the log
 * at the reader's own pace instead of queueing commits for it: a slow reader costs no memory and misses nothing.
 */
export async function* followRecords(
  { controller, history }: { controller: Pick<ControllerPort, "subscribe">; history: History },
  after: Seq,
  signal: AbortSignal,
  idleMs: number,
): AsyncGenerator<PortreeveRecord | "idle"> {
  const bell = new Bell();
  const subscription = controller.subscribe(() => bell.ring());
  let last = after;
  try {
    while (!signal.aborted) {
      for await (const record of history.records(last)) {
        if (signal.aborted) return;
        last = record.seq;
        yield record;
      }
      if (!(await bell.wait(idleMs, signal)) && !signal.aborted) yield "idle";
    }
  } finally {
    subscription.close();
  }
}

/** The first window of a search backwards; each further one is twice as long. */
const WINDOW = 1000;

/** What one request may have looked through: half a minute of work beside everybody else's. */
const LOOKED_AT_MAX = 2_000_000;

/** A search that has not found what it was asked for is told so, instead of an answer that looks complete. */
function lookedEnough(found: number): RequestProblem {
  return invalid(
    `${found} such records are among the ${LOOKED_AT_MAX} that were looked through, which are as many as may be while others wait; ask for fewer with \`limit\`, or for others with \`after\` and \`to\``,
  );
}

/** The last `limit` records that fit and are still there, oldest first, up to and including `to`. */
export async function lastRecords(
  history: History,
  to: Seq,
  limit: number,
  fits: (record: PortreeveRecord) => boolean,
): Promise<PortreeveRecord[]> {
  let found: PortreeveRecord[] = [];
  const floor = await history.readableAfter();
  const lowest = to - LOOKED_AT_MAX;
  let [end, window] = [to, Math.max(WINDOW, limit)];
  while (end > floor && found.length < limit) {
    if (end <= lowest) throw lookedEnough(found.length);
    const after = Math.max(floor, lowest, end - window);
    let inWindow: PortreeveRecord[] = [];
    for await (const record of history.records(after, end)) {
      if (!fits(record)) continue;
      inWindow.push(record);
      if (inWindow.length >= 2 * limit) inWindow = inWindow.slice(-limit);
    }
    found = [...inWindow, ...found];
    [end, window] = [after, window * 2];
  }
  return found.slice(-limit);
}

/** The first `limit` records after `after` that fit. */
export async function firstRecords(
  history: History,
  after: Seq,
  to: Seq,
  limit: number,
  fits: (record: PortreeveRecord) => boolean,
): Promise<PortreeveRecord[]> {
  const found: PortreeveRecord[] = [];
  for await (const record of history.records(after, to)) {
    if (record.seq - after > LOOKED_AT_MAX) throw lookedEnough(found.length);
    if (!fits(record)) continue;
    found.push(record);
    if (found.length >= limit) break;
  }
  return found;
}

/** Of a mapping's life as much as is looked through at its beginning and at its end, if it is longer than both. */
const LIFE_READ = LOOKED_AT_MAX / 4;
/** Records about one mapping that are kept: the first, and the newest. */
const ABOUT_MAX = 1000;

/** The records about a mapping that are still there, and what of its life was not looked through. */
export async function recordsAbout(
  history: History,
  { id, createdSeq, revision }: Pick<Mapping, "id" | "createdSeq" | "revision">,
): Promise<{ readonly records: readonly PortreeveRecord[]; readonly unread: SeqRange | null }> {
  // What has left the archive too can't be told any more; the rest can.
  const after = Math.max(createdSeq - 1, await history.readableAfter());
  const [firstEnd, lastStart] = [after + LIFE_READ, revision - LIFE_READ];
  const unread = firstEnd < lastStart ? { first: firstEnd + 1, last: lastStart } : null;
  const records: PortreeveRecord[] = [];
  for (const [from, to] of unread === null
    ? [[after, revision] as const]
    : [[after, firstEnd] as const, [lastStart, revision] as const]) {
    for await (const record of history.records(from, to)) {
      if (mappingOf(record) !== id) continue;
      records.push(record);
      if (records.length > ABOUT_MAX) records.splice(1, 1);
    }
  }
  return { records, unread };
}

/** The last record at or before an instant, found by halving: `at` never falls along the log. Null: before those there are. */
export async function seqAt(history: History, instant: number): Promise<Seq | null> {
  const floor = await history.readableAfter();
  let [low, high] = [floor, history.head.seq];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    const record = await history.record(middle);
    if (record !== undefined && record.at <= instant) low = middle;
    else high = middle - 1;
  }
  return low === floor && floor > 0 ? null : low;
}
