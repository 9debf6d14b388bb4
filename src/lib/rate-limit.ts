/** More sources than a /20 of devices has; beyond, the one not heard for longest starts afresh. */
const SOURCES_MAX = 4096;

interface Bucket {
  tokens: number;
  at: number;
}

/** A token bucket for each source address: `perSecond` requests a second, and as many at once. */
export class RateLimit {
  readonly #buckets = new Map<string, Bucket>();

  /** Whether one more request of this source is let through now. */
  take(source: string, perSecond: number, now: number): boolean {
    const bucket = this.#buckets.get(source) ?? { tokens: perSecond, at: now };
    const refilled = bucket.tokens + (Math.max(0, now - bucket.at) / 1000) * perSecond;
    bucket.tokens = Math.min(perSecond, refilled);
    bucket.at = now;
    // Put back last: a Map is in order of insertion, so the first is the one not heard for longest.
    this.#buckets.delete(source);
    this.#buckets.set(source, bucket);
    if (this.#buckets.size > SOURCES_MAX) {
      const [oldest] = this.#buckets.keys();
      if (oldest !== undefined) this.#buckets.delete(oldest);
    }
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

  /** What one that was let through cost beyond the usual: the next ones wait for it. */
  spend(source: string, more: number): void {
    const bucket = this.#buckets.get(source);
    if (bucket !== undefined) bucket.tokens -= more;
  }

  get size(): number {
    return this.#buckets.size;
  }
}
