import type { Seq } from "../../../src/events/envelope.ts";
import type { Desired, DesiredTable } from "../../../src/reconcilers/contract.ts";
import type { Slotted } from "./fake-target.ts";

/** A desired table over a plain map, which knows what changed since its ancestors and counts who reads it. */
export class CountedTable<Spec> implements DesiredTable<Spec> {
  gets = 0;
  iterated = 0;
  readonly #rows: ReadonlyMap<string, Desired<Spec>>;
  readonly #parent: CountedTable<Spec> | null;
  readonly #changed: readonly string[];

  constructor(
    rows: ReadonlyMap<string, Desired<Spec>>,
    parent: CountedTable<Spec> | null = null,
    changed: readonly string[] = [],
  ) {
    this.#rows = rows;
    this.#parent = parent;
    this.#changed = changed;
  }

  get size(): number {
    return this.#rows.size;
  }

  get(key: string): Desired<Spec> | undefined {
    this.gets += 1;
    return this.#rows.get(key);
  }

  *rows(): Iterable<Desired<Spec>> {
    for (const row of this.#rows.values()) {
      this.iterated += 1;
      yield row;
    }
  }

  changedSince(previous: DesiredTable<Spec>): Iterable<string> | null {
    if (previous === this) return [];
    const before = this.#parent?.changedSince(previous) ?? null;
    return before === null ? null : [...before, ...this.#changed];
  }

  get sorted(): readonly Desired<Spec>[] {
    return [...this.#rows.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  }
}

export interface FakeState {
  readonly seq: Seq;
  readonly table: CountedTable<Slotted>;
  readonly pausedUntil: number | null;
  /** Keys whose end an event explains. */
  readonly ended: ReadonlySet<string>;
}

/** Stands in for the controller: a state, changed by numbered commits, and those who want to know. */
export class FakeStates {
  state: FakeState = { seq: 0, table: new CountedTable(new Map()), pausedUntil: null, ended: new Set() };
  readonly #rows = new Map<string, Desired<Slotted>>();
  readonly #listeners = new Set<(state: FakeState) => void>();

  subscribe(listener: (state: FakeState) => void): { close(): void } {
    this.#listeners.add(listener);
    return { close: () => void this.#listeners.delete(listener) };
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  /** One commit: rows to set, and with null to remove. Returns its seq, which is also their revision unless one is given. */
  commit(changes: Readonly<Record<string, Slotted | null>>, revision?: Seq): Seq {
    const seq = this.state.seq + 1;
    for (const [key, spec] of Object.entries(changes)) {
      if (spec === null) this.#rows.delete(key);
      else this.#rows.set(key, { key, spec, owners: [`owner-of-${key}`], revision: revision ?? seq });
    }
    const table = new CountedTable(new Map(this.#rows), this.state.table, Object.keys(changes));
    return this.#publish({ ...this.state, seq, table });
  }

  pause(until: number | null): Seq {
    return this.#publish({ ...this.state, seq: this.state.seq + 1, pausedUntil: until });
  }

  explainEnd(keys: readonly string[]): Seq {
    return this.#publish({ ...this.state, seq: this.state.seq + 1, ended: new Set(keys) });
  }

  /** As after a restart: the same rows in a table that knows no ancestors. */
  forgetAncestors(): void {
    this.state = { ...this.state, table: new CountedTable(new Map(this.#rows)) };
  }

  #publish(state: FakeState): Seq {
    this.state = state;
    for (const listener of this.#listeners) listener(state);
    return state.seq;
  }
}
