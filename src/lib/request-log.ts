/** One request and what came of it, refusals too; the last 1,000 are kept in memory (`request list`). */
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

/** A ring of the last requests. */
export class RequestLog {
  readonly #entries: RequestEntry[] = [];

  add(entry: RequestEntry): void {
    this.#entries.push(entry);
    if (this.#entries.length > REQUEST_LOG_MAX * 2) this.#entries.splice(0, this.#entries.length - REQUEST_LOG_MAX);
  }

  /** Newest first. */
  list(): readonly RequestEntry[] {
    return this.#entries.slice(-REQUEST_LOG_MAX).reverse();
  }
}
