import type { Counts } from "../messages.ts";

/** What became of a message. */
export type Result =
  | "zone"
  | "local"
  | "cached"
  | "forwarded"
  | "blocked"
  | "failed"
  | "update"
  | "transfer"
  | "refused"
  | "malformed"
  | "unsigned"
  | "limited";

/** Counts until it is asked for them: a message a query to the other thread would cost more than answering. */
export class Tally {
  #counts = new Map<string, number>();

  count(transport: "udp" | "tcp", result: Result): void {
    const key = `${transport} ${result}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  /** Since the last time; null if there was nothing. */
  take(): Counts | null {
    if (this.#counts.size === 0) return null;
    const counts = Object.fromEntries(this.#counts);
    this.#counts = new Map();
    return counts;
  }
}
