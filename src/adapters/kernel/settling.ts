/** So long nothing may have happened to an interface before what is seen of it counts: DHCP clients remove and add. */
export const SETTLE_MS = 2000;
/** One that never comes to rest is believed after this. */
const RESTLESS_MAX_MS = 30_000;

interface Unrest {
  /** The last change or hint of one. */
  at: number;
  /** Whether something was believed since it began. */
  told: boolean;
  /** What differs from what is recorded, and since when something does; null: nothing does. */
  seen: string | null;
  since: number;
}

/**
 * When what is seen of an interface is believed. Looks alone do not show a flapping: they may all fall on the same side
 * of it. So hints count too, and a series of them without a pause of the settle time is one unrest.
 */
export class Settling {
  readonly #unrests = new Map<string, Unrest>();

  /** Something may have changed; of what was never looked at, nothing is kept. */
  hint(name: string, now: number): void {
    const unrest = this.#unrests.get(name);
    if (unrest !== undefined) stir(unrest, now);
  }

  /**
   * Milliseconds until `seen` counts, 0 if it does now; null: nothing differs from what is recorded. An eager one counts
   * at once if it is the first of its unrest.
   */
  look(name: string, { seen, recorded, eager }: { seen: string; recorded: string; eager: boolean }, now: number) {
    let unrest = this.#unrests.get(name);
    if (unrest === undefined) {
      unrest = { at: Number.NEGATIVE_INFINITY, told: false, seen: null, since: now };
      this.#unrests.set(name, unrest);
    }
    if (seen === recorded) {
      unrest.seen = null;
      return null;
    }
    if (seen !== unrest.seen) {
      if (unrest.seen === null) unrest.since = now;
      unrest.seen = seen;
      stir(unrest, now);
    }
    const left = Math.min(unrest.at + SETTLE_MS, unrest.since + RESTLESS_MAX_MS) - now;
    if (left > 0 && (!eager || unrest.told)) return left;
    unrest.told = true;
    unrest.seen = null;
    return 0;
  }
}

function stir(unrest: Unrest, now: number): void {
  if (now - unrest.at >= SETTLE_MS) unrest.told = false;
  unrest.at = now;
}
