import type { Clock } from "../../../../lib/clock.ts";
import { type Failure, remembered } from "./failure.ts";

const ENTRIES_MAX = 4096;

/** Questions that just failed: asking upstreams again at once would only make what is broken busier (RFC 9520, tsuNAME). */
export class FailureCache {
  readonly #clock: Clock;
  readonly #entries = new Map<string, { readonly failure: Failure; readonly until: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get(key: string): Failure | null {
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    if (this.#clock.now() < entry.until) return remembered(entry.failure);
    this.#entries.delete(key);
    return null;
  }

  set(key: string, failure: Failure, forMs: number): void {
    this.#entries.delete(key);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size < ENTRIES_MAX) break;
      this.#entries.delete(oldest);
    }
    this.#entries.set(key, { failure, until: this.#clock.now() + forMs });
  }

  clear(): void {
    this.#entries.clear();
  }
}
