import type {
  Change,
  Outcome,
  Plan,
  ReconcileError,
  ReconcilerDefinition,
  Target,
} from "../../../src/reconcilers/contract.ts";

/** A thing that occupies a slot; like a port, a slot has room for one. */
export interface Slotted {
  readonly slot: number;
  readonly value: string;
}

/** What the fake reports: our fields, and one the target sets by itself, which must not be compared. */
export interface ObservedSlotted extends Slotted {
  readonly uptime: number;
}

export const matchesSlotted = (spec: Slotted, observed: ObservedSlotted): boolean =>
  spec.slot === observed.slot && spec.value === observed.value;

export const FAKE_DEFINITION: Omit<ReconcilerDefinition<never, Slotted, ObservedSlotted>, "select"> = {
  name: "fake",
  matches: matchesSlotted,
  policy: "sync",
  refreshMs: 300_000,
  retry: { minMs: 100, maxMs: 10_000, jitter: 0.5 },
  deleteFractionMax: 0.3,
};

export type Fault = "reject observe" | "crash before apply" | "crash in apply" | "crash after apply";

/**
 * An in-memory target that enforces what a kernel enforces: a slot is taken once, changes happen in the plan's order,
 * what is not ours is not ours. `keeps` decides whether it vouches for itself (`unchanged`, `expected`).
 */
export class FakeTarget implements Target<Slotted, ObservedSlotted> {
  readonly name = "fake";
  readonly rows = new Map<string, Slotted>();
  readonly foreign = new Map<string, Slotted>();
  /** Refused whenever they are created, updated or deleted. */
  readonly refused = new Map<string, ReconcileError>();
  readonly faults: Fault[] = [];
  observes = 0;
  /** Every plan that came in, in order. */
  readonly plans: Plan<Slotted, ObservedSlotted>[] = [];
  /** Called with each plan at the moment it is handed over: the place for an oracle. */
  onApply: (plan: Plan<Slotted, ObservedSlotted>) => void = () => {};
  /** Most calls there ever were at once; more than one is a broken engine. */
  callsAtOnceMax = 0;
  readonly unchanged?: () => boolean;
  readonly expected?: (spec: Slotted) => ObservedSlotted;
  #calls = 0;
  #vouched = false;
  #uptime = 0;
  readonly #watchers = new Set<(by: string) => void>();
  #gate: Promise<void> = Promise.resolve();

  constructor(options: { readonly keeps: boolean } = { keeps: true }) {
    if (!options.keeps) return;
    this.unchanged = () => this.#vouched;
    this.expected = (spec) => ({ ...spec, uptime: 0 });
  }

  /** Calls made from now on hang until the returned function is called (or their signal aborts). */
  hold(): () => void {
    let open = (): void => {};
    this.#gate = new Promise((resolve) => {
      open = resolve;
    });
    return open;
  }

  get applied(): Change<Slotted, ObservedSlotted>[] {
    return this.plans.flat();
  }

  observe(signal: AbortSignal): Promise<ReadonlyMap<string, ObservedSlotted>> {
    return this.#call(signal, () => {
      this.observes += 1;
      if (this.#takeFault("reject observe")) throw new Error("cannot list");
      this.#uptime += 1;
      this.#vouched = true;
      return new Map([...this.rows].map(([key, row]) => [key, { ...row, uptime: this.#uptime }]));
    });
  }

  apply(plan: Plan<Slotted, ObservedSlotted>, signal: AbortSignal): Promise<readonly Outcome[]> {
    this.onApply(plan);
    return this.#call(signal, () => {
      this.plans.push(plan);
      if (this.#takeFault("crash before apply")) throw this.#crash();
      const half = this.#takeFault("crash in apply") ? Math.ceil(plan.length / 2) : plan.length;
      const outcomes = plan.slice(0, half).map((change) => this.#change(change));
      if (half < plan.length || this.#takeFault("crash after apply")) throw this.#crash();
      return outcomes;
    });
  }

  watch(onDrift: (by: string) => void): { close(): void } {
    this.#watchers.add(onDrift);
    return { close: () => void this.#watchers.delete(onDrift) };
  }

  /** Someone else changes the target; `by: null` and nobody is told. */
  tamper(by: string | null, change: (rows: Map<string, Slotted>) => void): void {
    change(this.rows);
    this.#vouched = false;
    if (by !== null) for (const watcher of this.#watchers) watcher(by);
  }

  get watchers(): number {
    return this.#watchers.size;
  }

  #crash(): Error {
    this.#vouched = false;
    return new Error("crashed");
  }

  #takeFault(fault: Fault): boolean {
    if (this.faults[0] !== fault) return false;
    this.faults.shift();
    return true;
  }

  #change(change: Change<Slotted, ObservedSlotted>): Outcome {
    const { key } = change;
    const error = this.refused.get(key) ?? this.#violation(change);
    if (error !== undefined) return { key, ok: false, error };
    if (change.op === "delete") this.rows.delete(key);
    else this.rows.set(key, change.desired.spec);
    return { key, ok: true };
  }

  #violation(change: Change<Slotted, ObservedSlotted>): ReconcileError | undefined {
    if (this.foreign.has(change.key)) throw new Error(`${change.key} is not ours`);
    if (change.op === "delete") return undefined;
    const { slot } = change.desired.spec;
    for (const table of [this.rows, this.foreign]) {
      for (const [key, row] of table) {
        if (row.slot !== slot || key === change.key) continue;
        return { code: "EEXIST", message: `slot ${slot} is taken by ${key}`, disposition: "transient" };
      }
    }
    return undefined;
  }

  async #call<T>(signal: AbortSignal, work: () => T): Promise<T> {
    this.#calls += 1;
    this.callsAtOnceMax = Math.max(this.callsAtOnceMax, this.#calls);
    let onAbort = (): void => {};
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => reject(signal.reason as Error);
    });
    signal.addEventListener("abort", onAbort);
    try {
      await Promise.race([this.#gate, aborted]);
      return work();
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#calls -= 1;
    }
  }
}
