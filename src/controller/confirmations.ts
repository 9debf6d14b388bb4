import { changeOf, type Past } from "./change.ts";
import type { ControllerPort } from "./port.ts";
import type { Clock } from "../lib/clock.ts";
import { PortreeveError } from "../lib/errors.ts";
import type { Confirmation } from "../reducers/state.ts";

/** While the log cannot be read or written, a revert that is due is tried this often. */
const RETRY_MS = 5000;

export interface ConfirmationsOptions {
  readonly controller: ControllerPort;
  readonly past: Past;
  readonly clock: Clock;
  /** A change could not be taken back: said once for each try. */
  readonly onFault: (cause: unknown, id: string) => void;
}

/** Takes back, at its deadline, each change that nobody confirmed. What waits is in the state, so a restart forgets none. */
export class Confirmations {
  readonly #options: ConfirmationsOptions;
  #alarm: { cancel(): void } | null = null;
  #subscription: { close(): void } | null = null;
  #known: Readonly<Record<string, Confirmation>> = {};
  #reverting: Promise<void> | null = null;
  #closed = false;

  constructor(options: ConfirmationsOptions) {
    this.#options = options;
  }

  /** Resolves when what came due while nobody was there is taken back. */
  async start(): Promise<void> {
    this.#setAlarm(await this.#revertDue());
    this.#subscription = this.#options.controller.subscribe(({ confirmations }) => {
      if (confirmations === this.#known) return;
      this.#known = confirmations;
      this.#setAlarm(this.#next());
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#subscription?.close();
    this.#alarm?.cancel();
    await this.#reverting;
  }

  #next(): number | null {
    const ends = Object.values(this.#options.controller.state.confirmations).map(({ until }) => until);
    return ends.length === 0 ? null : Math.min(...ends);
  }

  #setAlarm(at: number | null): void {
    this.#alarm?.cancel();
    this.#alarm = null;
    if (at === null || this.#closed) return;
    this.#alarm = this.#options.clock.setAlarm(at, () => {
      this.#alarm = null;
      // While some are taken back it is set again at the end of that, when there is nothing to wait for.
      this.#reverting ??= this.#ring();
    });
  }

  async #ring(): Promise<void> {
    const next = await this.#revertDue();
    this.#reverting = null;
    this.#setAlarm(next);
  }

  /** When to look again; null: nothing is awaited. */
  async #revertDue(): Promise<number | null> {
    const { controller, clock } = this.#options;
    const now = clock.now();
    const due = Object.values(controller.state.confirmations).filter(({ until }) => until <= now);
    // The newest first: an older one may have made what it stands on.
    due.sort((a, b) => (b.seqs[0] ?? 0) - (a.seqs[0] ?? 0));
    let failed = false;
    for (const pending of due) failed = !(await this.#revert(pending)) || failed;
    this.#known = controller.state.confirmations;
    return failed ? now + RETRY_MS : this.#next();
  }

  async #revert({ id, seqs: [first = 0] }: Confirmation): Promise<boolean> {
    const { controller, past, clock, onFault } = this.#options;
    try {
      const change = await changeOf(past, first);
      const requestId = `lapse-${id}`;
      const lapse = { type: "confirmation.lapse", id, change, source: "clock", requestId, now: clock.now() } as const;
      const outcome = await controller.submit(lapse);
      if (!outcome.ok) onFault(new PortreeveError(outcome.refusal.code, outcome.refusal.message, "transient"), id);
      return outcome.ok;
    } catch (cause) {
      if (!(cause instanceof PortreeveError)) throw cause;
      onFault(cause, id);
      return false;
    }
  }
}
