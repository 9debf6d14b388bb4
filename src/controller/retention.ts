import type { Seq } from "../events/envelope.ts";
import { recordAt, type ReadableLog } from "./history.ts";

/** How much of the past stays in the log itself, as the configuration's `log.retain` has it. */
export interface Retain {
  readonly events: number;
  readonly days: number;
}

const DAY_MS = 86_400_000;
/** More at once would take long to stop for. */
const BATCH_MAX = 10_000;

/**
 * The last record that may leave the log now, no later than `covered`, of one batch; null if too few may. A record may leave when
 * more than `events` came after it or when it is older than `days`.
 */
export async function mayLeave(log: ReadableLog, retain: Retain, covered: Seq, now: number): Promise<Seq | null> {
  const { base, head } = log;
  const surplus = head.seq - retain.events;
  const last = Math.min(
    covered,
    base.seq + BATCH_MAX,
    Math.max(surplus, await lastBefore(log, now - retain.days * DAY_MS)),
  );
  // Fewer are not worth a file of their own.
  const batch = Math.min(BATCH_MAX, Math.max(1, Math.floor(retain.events / 10)));
  return last - base.seq >= batch ? last : null;
}

/** The last record in the log before an instant, found by halving: `at` never falls along the log. */
async function lastBefore(log: ReadableLog, instant: number): Promise<Seq> {
  let [low, high] = [log.base.seq, log.head.seq];
  while (low < high) {
    // The oldest first: mostly it is young enough, and one look is all.
    const middle = low === log.base.seq ? low + 1 : Math.ceil((low + high) / 2);
    const record = await recordAt(log, middle);
    if (record !== undefined && record.at < instant) low = middle;
    else high = middle - 1;
  }
  return low;
}
