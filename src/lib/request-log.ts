/** One request and what came of it, refusals too; the last 1,000, of one sender 250, are kept in memory (`request list`). */
export interface RequestEntry {
  /** Gateway time, Unix milliseconds. */
  readonly at: number;
  readonly protocol: "pcp" | "natpmp" | "upnp" | "dns" | "api";
  /** Device address, or "socket" / "token" for the API. */
  readonly from: string;
  readonly interface: string | null;
  /** For a person: "MAP tcp 8080 → 8080 for 3600 s". */
  readonly request: string;
  readonly decision: "granted" | "renewed" | "released" | "answered" | "refused" | "dropped";
  /** ErrorCode of a refusal; null otherwise. */
  readonly code: string | null;
  /** What the requester got, or why not, in a sentence. */
  readonly message: string;
  readonly durationMs: number;
}

export const REQUEST_LOG_MAX = 1000;
/** Of one sender: who is refused all the time hides nobody else's. */
const OF_ONE_MAX = 250;
/** Characters of what was asked for and of what was said to it: others choose them. */
const TEXT_MAX = 512;

/** The last requests, of each sender and of all. */
export class RequestLog {
  #entries: RequestEntry[] = [];

  add(entry: RequestEntry): void {
    this.#entries.push({ ...entry, request: cut(entry.request), message: cut(entry.message) });
    if (this.#entries.length > REQUEST_LOG_MAX * 2) this.#entries = this.#kept().reverse();
  }

  /** Newest first. */
  list(): readonly RequestEntry[] {
    return this.#kept();
  }

  #kept(): RequestEntry[] {
    const counts = new Map<string, number>();
    const kept: RequestEntry[] = [];
    for (const entry of this.#entries.toReversed()) {
      const count = (counts.get(entry.from) ?? 0) + 1;
      counts.set(entry.from, count);
      if (count <= OF_ONE_MAX && kept.push(entry) === REQUEST_LOG_MAX) break;
    }
    return kept;
  }
}

/** By way of its octets: a part of a string keeps the whole of it in memory. */
const cut = (text: string): string =>
  text.length <= TEXT_MAX ? text : `${Buffer.from(text.slice(0, TEXT_MAX - 1)).toString()}…`;
