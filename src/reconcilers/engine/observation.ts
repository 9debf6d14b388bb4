import type { Change, Target } from "../contract.ts";

/**
 * What is in the target: the last `observe`, advanced by what we applied successfully since. Listing a large target
 * costs seconds, so this is kept for as long as the target vouches that nobody else touched it.
 */
export class Observation<Spec, Obs> {
  readonly #target: Target<Spec, Obs>;
  #rows = new Map<string, Obs>();
  #certain = false;
  #compared = false;
  /** Rows we wrote since, of which we know that they are right, but not what a look would report. */
  readonly #written = new Set<string>();
  /** Keys the last fresh looks found and nobody here put there. */
  readonly #appeared = new Set<string>();
  #observedAt = Number.NEGATIVE_INFINITY;

  constructor(target: Target<Spec, Obs>) {
    this.#target = target;
  }

  get rows(): ReadonlyMap<string, Obs> {
    return this.#rows;
  }

  get observedAt(): number {
    return this.#observedAt;
  }

  /** Every row of it has been compared with the desired table; what is left are the keys that may have moved since. */
  get compared(): boolean {
    return this.#compared;
  }

  appeared(key: string): boolean {
    return this.#appeared.has(key);
  }

  /** It says what `observe` would say. */
  get trusted(): boolean {
    return this.#certain && this.#written.size === 0 && this.#target.unchanged?.() === true;
  }

  /** Nothing says that it is out of date: a target that cannot vouch for itself is looked at when it is due, or hints. */
  get stands(): boolean {
    return this.#certain && this.#written.size === 0 && this.#target.unchanged?.() !== false;
  }

  async refresh(signal: AbortSignal, now: () => number): Promise<void> {
    const found = await this.#target.observe(signal);
    const rows = new Map(found);
    if (this.#certain) {
      for (const key of rows.keys()) {
        if (!this.#rows.has(key) && !this.#written.has(key)) this.#appeared.add(key);
      }
    }
    this.#rows = rows;
    this.#written.clear();
    this.#certain = true;
    this.#compared = false;
    this.#observedAt = now();
  }

  markCompared(): void {
    this.#compared = true;
    this.#appeared.clear();
  }

  /** A change was applied. */
  advance(change: Change<Spec, Obs>): void {
    if (change.op === "delete") this.#rows.delete(change.key);
    else if (this.#target.expected !== undefined)
      this.#rows.set(change.key, this.#target.expected(change.desired.spec));
    else this.#written.add(change.key);
  }

  /** Something was tried and nobody knows how far it got: look again, and blame nobody for what is found. */
  distrust(): void {
    this.#certain = false;
    this.#compared = false;
  }
}
