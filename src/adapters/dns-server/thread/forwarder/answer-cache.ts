import type { Answer } from "./digest.ts";

export interface CachedAnswer {
  readonly answer: Answer;
  /** Gateway time, milliseconds. */
  readonly storedAt: number;
  readonly freshUntil: number;
  /** After `freshUntil` it is given only while no upstream has anything better (RFC 8767). */
  readonly staleUntil: number;
  /** After a refresh that failed: not before this is the next one tried. */
  refreshAt: number;
  /** Asked for since the last sweep came by. */
  used: boolean;
}

/** What an entry costs beside its octets and its key: objects, the map's slot. Measured by the heap, rounded up. */
const ENTRY_OCTETS = 400;

/** A cache in which everything is asked for must not be swept as a whole for one new answer. */
const PUT_BACK_MAX = 64;

/** Bounded in octets and in entries. The oldest that nobody asked for since it was last looked at goes first. */
export class AnswerCache {
  readonly #entries = new Map<string, CachedAnswer>();
  readonly #octetsMax: number;
  readonly #entriesMax: number;
  #octets = 0;

  constructor(limits: { readonly octetsMax: number; readonly entriesMax: number }) {
    this.#octetsMax = limits.octetsMax;
    this.#entriesMax = limits.entriesMax;
  }

  get octets(): number {
    return this.#octets;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): CachedAnswer | undefined {
    return this.#entries.get(key);
  }

  set(key: string, entry: CachedAnswer): void {
    this.delete(key);
    const octets = octetsOf(key, entry);
    if (octets > this.#octetsMax) return;
    while (this.#octets + octets > this.#octetsMax || this.#entries.size >= this.#entriesMax) this.#evict();
    this.#entries.set(key, entry);
    this.#octets += octets;
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#octets -= octetsOf(key, entry);
  }

  clear(): void {
    this.#entries.clear();
    this.#octets = 0;
  }

  #evict(): void {
    let putBack = 0;
    for (const [key, entry] of this.#entries) {
      if (!entry.used || putBack === PUT_BACK_MAX) return this.delete(key);
      putBack += 1;
      entry.used = false;
      this.#entries.delete(key);
      this.#entries.set(key, entry);
    }
  }
}

const octetsOf = (key: string, { answer }: CachedAnswer): number =>
  ENTRY_OCTETS + key.length + answer.body.length + answer.ttlsAt.byteLength;
