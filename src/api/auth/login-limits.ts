import { tooManyTries } from "../problem.ts";

const WINDOW_MS = 60_000;
const FAILURES_PER_ADDRESS = 5;
const FAILURES_IN_ALL = 20;
const DELAY_MAX_MS = 300_000;
/** So long after its last failure an address is as good as any other. */
const FORGOTTEN_MS = 3_600_000;
const ADDRESSES_MAX = 4096;

interface Failures {
  count: number;
  /** Those within the window, oldest first. */
  recent: number[];
  notBefore: number;
}

/** A try that was let through; exactly one of its ends is called. */
export interface Try {
  /** Nothing of its address has failed: it goes before others, and is never refused because of them. */
  readonly fresh: boolean;
  failed(): void;
  succeeded(): void;
  /** It was neither right nor wrong: it could not be checked. */
  abandoned(): void;
}

/**
 * Slows guessing down without a lock-out: five failures a minute from an address, each doubling the time until its next
 * try, and twenty a minute in all from addresses that have failed. Whoever comes from an address without failures is let
 * through whatever others do; existing sessions and the Unix socket never come here.
 */
export class LoginLimits {
  readonly #now: () => number;
  readonly #what: string;
  readonly #delayFirstMs: number;
  readonly #failures = new Map<string, Failures>();
  readonly #underway = new Set<string>();
  #recent: number[] = [];

  constructor(now: () => number, { what = "sign-ins", delayFirstMs = 1000 } = {}) {
    this.#now = now;
    this.#what = what;
    this.#delayFirstMs = delayFirstMs;
  }

  /** `from`: whose failures count together. Throws TOO_MANY_TRIES. */
  begin(from: string): Try {
    const now = this.#now();
    const mine = this.#of(from, now);
    // One at a time: tries side by side would all be made before the first has failed.
    if (this.#underway.has(from)) {
      throw tooManyTries(`${this.#what} from your address are being checked; wait for them`, 1);
    }
    if (mine !== undefined) this.#refuse(mine, now);
    this.#underway.add(from);
    const end = (then: () => void) => () => {
      if (this.#underway.delete(from)) then();
    };
    return {
      fresh: mine === undefined,
      failed: end(() => this.#failed(from)),
      succeeded: end(() => void this.#failures.delete(from)),
      abandoned: end(() => {}),
    };
  }

  #refuse({ recent, notBefore }: Failures, now: number): void {
    const latest = (times: readonly number[], max: number) =>
      times.length < max ? now : (times[times.length - max] as number) + WINDOW_MS;
    this.#recent = this.#recent.filter((time) => time > now - WINDOW_MS);
    const until = Math.max(notBefore, latest(recent, FAILURES_PER_ADDRESS), latest(this.#recent, FAILURES_IN_ALL));
    if (until <= now) return;
    const seconds = Math.ceil((until - now) / 1000);
    throw tooManyTries(
      `${this.#what} from your address have failed; the next try is possible in ${seconds} s`,
      seconds,
    );
  }

  #of(from: string, now: number): Failures | undefined {
    const mine = this.#failures.get(from);
    if (mine === undefined) return undefined;
    const last = mine.recent.at(-1) ?? 0;
    if (last + FORGOTTEN_MS <= now) {
      this.#failures.delete(from);
      return undefined;
    }
    return mine;
  }

  #failed(from: string): void {
    const now = this.#now();
    const before = this.#of(from, now);
    const count = (before?.count ?? 0) + 1;
    // The last one stays whatever its age: it tells when the address is forgotten.
    const recent = [...(before?.recent ?? []), now].slice(-FAILURES_PER_ADDRESS);
    const delay = Math.min(this.#delayFirstMs * 2 ** (count - 1), DELAY_MAX_MS);
    this.#failures.delete(from);
    this.#failures.set(from, { count, recent, notBefore: now + delay });
    this.#recent = [...this.#recent, now].slice(-FAILURES_IN_ALL);
    if (this.#failures.size <= ADDRESSES_MAX) return;
    for (const oldest of this.#failures.keys()) {
      this.#failures.delete(oldest);
      break;
    }
  }
}
