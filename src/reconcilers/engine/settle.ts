import type { Seq } from "../../events/envelope.ts";
import { PortreeveError } from "../../lib/errors.ts";
import type { ReconcileError, Settlement } from "../contract.ts";

interface Waiter {
  readonly seq: Seq;
  readonly resolve: (settlement: Settlement) => void;
  readonly reject: (reason: unknown) => void;
}

/** Who waits for which seq to have been tried. */
export class Settlements {
  #through: Seq = -1;
  #closed = false;
  readonly #waiters = new Set<Waiter>();
  readonly #failing: () => ReadonlyMap<string, ReconcileError>;

  /** `failing` makes a copy of which rows are in error now. */
  constructor(failing: () => ReadonlyMap<string, ReconcileError>) {
    this.#failing = failing;
  }

  wait(seq: Seq, signal: AbortSignal): Promise<Settlement> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      if (seq <= this.#through) return resolve({ through: this.#through, failed: this.#failing() });
      if (this.#closed) return reject(stopped());
      const leave = (): void => {
        this.#waiters.delete(waiter);
        signal.removeEventListener("abort", onAbort);
      };
      const waiter: Waiter = {
        seq,
        resolve: (settlement) => {
          leave();
          resolve(settlement);
        },
        reject: (reason) => {
          leave();
          reject(reason);
        },
      };
      const onAbort = (): void => waiter.reject(signal.reason);
      signal.addEventListener("abort", onAbort);
      this.#waiters.add(waiter);
    });
  }

  /** A pass has tried every row up to `through`. */
  complete(through: Seq): void {
    this.#through = Math.max(this.#through, through);
    let settlement: Settlement | null = null;
    for (const waiter of this.#waiters) {
      if (waiter.seq > this.#through) continue;
      settlement ??= { through: this.#through, failed: this.#failing() };
      waiter.resolve(settlement);
    }
  }

  close(): void {
    this.#closed = true;
    for (const waiter of this.#waiters) waiter.reject(stopped());
  }
}

export function stopped(): PortreeveError {
  return new PortreeveError("NOT_READY", "the reconciler has stopped", "fatal");
}
