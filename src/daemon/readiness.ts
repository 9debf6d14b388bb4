import type { Clock } from "../lib/clock.ts";
import type { Reconciler } from "../reconcilers/contract.ts";

/** What fails longer than this makes the process not ready; shorter troubles mend themselves. */
const TOLERATED_MS = 60_000;

/** Parts that can fail, since when they have, and what that means for whoever asks whether this process serves. */
export class Readiness {
  readonly #clock: Pick<Clock, "now">;
  readonly #reconcilers: readonly Reconciler[];
  readonly #failing = new Map<string, { since: number; message: string }>();
  /** Why nothing can be promised; null while it can. */
  #barred: string | null = "the controller is starting";

  constructor(clock: Pick<Clock, "now">, reconcilers: readonly Reconciler[]) {
    this.#clock = clock;
    this.#reconcilers = reconcilers;
  }

  bar(reason: string | null): void {
    this.#barred = reason;
  }

  failed(part: string, message: string): void {
    this.#failing.set(part, { since: this.#failing.get(part)?.since ?? this.#clock.now(), message });
  }

  recovered(part: string): void {
    this.#failing.delete(part);
  }

  /** Everything that does not work now, however briefly. */
  degraded(): string[] {
    const parts = [...this.#failing].map(([part, { message }]) => `${part}: ${message}`);
    const reconcilers = this.#reconcilers
      .filter(({ health }) => health.level === "degraded")
      .map(({ name, health }) => `${name}: ${health.message}`);
    return [...parts, ...reconcilers];
  }

  check(): { ready: boolean; reasons: string[] } {
    if (this.#barred !== null) return { ready: false, reasons: [this.#barred] };
    const now = this.#clock.now();
    const stuck = [...this.#failing].filter(([, { since }]) => now - since > TOLERATED_MS);
    const stuckReconcilers = this.#reconcilers.filter(
      ({ health }) => health.failingSince !== null && now - health.failingSince > TOLERATED_MS,
    );
    const reasons = this.degraded();
    return { ready: stuck.length + stuckReconcilers.length === 0, reasons };
  }
}
