/** What whoever asks can make us say: so many lines in a while, of one sender or upstream and of all. */
const WHILE_MS = 60_000;
const OF_ONE_MAX = 5;
const TOTAL_MAX = 60;

type Fields = Readonly<Record<string, unknown>>;

/** Lines for the log that strangers are the cause of: they fill no disk, and hide nothing but each other. */
export class Warnings {
  readonly #tell: (message: string, fields: Fields) => void;
  readonly #now: () => number;
  readonly #said = new Set<string>();
  readonly #ofOne = new Map<string, number>();
  #since = Number.NEGATIVE_INFINITY;
  #leftOut = 0;

  /** `now`: milliseconds that never go back. */
  constructor(tell: (message: string, fields: Fields) => void, now: () => number) {
    this.#tell = tell;
    this.#now = now;
  }

  /** `about` is whose doing it is. The same of the same is said once in a while; what is left out is counted. */
  add(about: string, message: string, fields: Fields = {}): void {
    const now = this.#now();
    if (now - this.#since >= WHILE_MS) {
      this.#said.clear();
      this.#ofOne.clear();
      this.#since = now;
    }
    const line = `${about} ${message}`;
    if (this.#said.has(line)) return;
    const ofOne = this.#ofOne.get(about) ?? 0;
    if (ofOne >= OF_ONE_MAX || this.#said.size >= TOTAL_MAX) {
      this.#leftOut += 1;
      return;
    }
    this.#said.add(line);
    this.#ofOne.set(about, ofOne + 1);
    this.#tell(message, this.#leftOut === 0 ? fields : { ...fields, leftOut: this.#leftOut });
    this.#leftOut = 0;
  }
}
