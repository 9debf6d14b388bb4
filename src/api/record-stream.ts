import type { ControllerPort } from "../controller/port.ts";
import type { Seq } from "../events/envelope.ts";
import type { PortreeveRecord } from "../events/index.ts";
import type { History } from "./deps.ts";

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
        const timer = setTimeout(resolve, timeoutMs);
        const done = () => {
          clearTimeout(timer);
          resolve();
        };
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

/** The last `limit` records that fit and are still there, oldest first, up to and including `to`. */
export async function lastRecords(
  history: History,
  to: Seq,
  limit: number,
  fits: (record: PortreeveRecord) => boolean,
): Promise<PortreeveRecord[]> {
  let found: PortreeveRecord[] = [];
  const floor = await history.readableAfter();
  let [end, window] = [to, Math.max(WINDOW, limit)];
  while (end > floor && found.length < limit) {
    const after = Math.max(floor, end - window);
    const inWindow: PortreeveRecord[] = [];
    for await (const record of history.records(after, end)) if (fits(record)) inWindow.push(record);
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
    if (!fits(record)) continue;
    found.push(record);
    if (found.length >= limit) break;
  }
  return found;
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
