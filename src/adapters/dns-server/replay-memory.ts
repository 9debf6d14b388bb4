import { FUDGE_SECONDS } from "../../protocols/dns/tsig.ts";
import type { Verdict } from "./messages.ts";

/** Of one device; at that many in 2 × fudge it has sent seven a second all the time. */
const REMEMBERED_MAX = 4096;

interface Remembered {
  readonly timeSigned: number;
  readonly heardAt: number;
  readonly verdict: Promise<Verdict>;
}

/**
 * One signature, one update: who repeats a datagram, because the answer was lost or because it was overheard, gets the
 * answer that there was, and nothing is done again. Named servers carry it out twice (RFC 8945 §5.2.3 only says SHOULD).
 */
export class ReplayMemory {
  readonly #devices = new Map<string, Map<string, Remembered>>();
  /** Of what was signed up to then nothing is remembered any more, or nothing was ever known. */
  readonly #forgotten = new Map<string, number>();
  /** What each has signed last, of what was heard here. */
  readonly #newest = new Map<string, number>();
  readonly #beforeStart: number;
  readonly #start: number;

  /**
   * Seconds of the wall clock. `beforeStart`: of the last change of names that was in the log when this process began;
   * `start`: of that beginning. What was heard in between and changed nothing left no trace, and might change something now.
   */
  constructor(beforeStart: number, start: number) {
    this.#beforeStart = beforeStart;
    this.#start = start;
  }

  /** The verdict there was or is being reached for it; `stale` if there may have been one. `decide` is called otherwise. */
  verdictOf(
    { device, signature, timeSigned }: { device: string; signature: string; timeSigned: number },
    monotonicSeconds: number,
    decide: () => Promise<Verdict>,
  ): Promise<Verdict> {
    const known = this.#devices.get(device) ?? new Map<string, Remembered>();
    this.#devices.set(device, known);
    this.#forgetOld(known, monotonicSeconds);
    const before = known.get(signature);
    if (before !== undefined) return before.verdict;
    const newest = this.#newest.get(device) ?? 0;
    const maybeHeard = timeSigned <= Math.max(this.#beforeStart, this.#forgotten.get(device) ?? 0);
    // RFC 8945 §5.2.3; since the start it is not needed, and datagrams may overtake each other.
    if (maybeHeard || (timeSigned < this.#start && timeSigned < newest)) return Promise.resolve({ kind: "stale" });
    this.#newest.set(device, Math.max(newest, timeSigned));
    const verdict = decide();
    known.set(signature, { timeSigned, heardAt: monotonicSeconds, verdict });
    // What could not be decided is no answer: the same bytes may be tried again.
    const forget = (): boolean => known.delete(signature);
    verdict.then((made) => made.kind === "answer" && made.undecided === true && forget(), forget);
    this.#makeRoom(device, known);
    return verdict;
  }

  get size(): number {
    let size = 0;
    for (const known of this.#devices.values()) size += known.size;
    return size;
  }

  /** A signature from the future lives longest: twice the fudge, to the end of the clock's second. */
  #forgetOld(known: Map<string, Remembered>, now: number): void {
    for (const [signature, { heardAt }] of known) {
      if (now - heardAt < 2 * FUDGE_SECONDS + 1) return;
      known.delete(signature);
    }
  }

  /** Who sends that many loses old retransmissions, never the protection. */
  #makeRoom(device: string, known: Map<string, Remembered>): void {
    while (known.size > REMEMBERED_MAX) {
      const [oldest] = known;
      if (oldest === undefined) return;
      const [signature, { timeSigned }] = oldest;
      known.delete(signature);
      this.#forgotten.set(device, Math.max(this.#forgotten.get(device) ?? 0, timeSigned));
    }
  }
}
