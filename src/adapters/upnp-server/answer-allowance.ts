/** More sources than a /20 of devices has; beyond, the one not heard for longest starts afresh. */
const SOURCES_MAX = 4096;
/** The most a searcher gets for what it sends, in octets; an IPv4 and a UDP header count on both sides. */
const RATIO_MAX = 3;
const HEADERS = 28;
/** A whole answer to `ssdp:all`, which an honest searcher gets at once; so much is spared in a minute. */
const SPARE_MAX = 6000;
const SPARE_PER_MS = SPARE_MAX / 60_000;

interface Spare {
  octets: number;
  at: number;
}

/**
 * What may still be sent to each source. Whoever sends searches in the name of another (SEC-04) makes the gateway send
 * no more than three times as much, but for what one search may cause once in a minute.
 */
export class AnswerAllowance {
  readonly #spare = new Map<string, Spare>();

  /** How many of these messages may go to a source for the search it sent. */
  take(source: string, searchOctets: number, messages: readonly string[], now: number): number {
    const spare = this.#spare.get(source) ?? { octets: SPARE_MAX, at: now };
    const saved = spare.octets + Math.max(0, now - spare.at) * SPARE_PER_MS;
    let octets = Math.min(SPARE_MAX, saved) + RATIO_MAX * (searchOctets + HEADERS);
    let count = 0;
    for (const message of messages) {
      const cost = Buffer.byteLength(message) + HEADERS;
      if (cost > octets) break;
      octets -= cost;
      count += 1;
    }
    // Put back last: a Map is in order of insertion, so the first is the one not heard for longest.
    this.#spare.delete(source);
    this.#spare.set(source, { octets, at: now });
    const [oldest] = this.#spare.size > SOURCES_MAX ? this.#spare.keys() : [];
    if (oldest !== undefined) this.#spare.delete(oldest);
    return count;
  }
}
