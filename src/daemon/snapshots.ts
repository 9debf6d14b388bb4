import type { ControllerPort } from "../controller/port.ts";
import type { Retain } from "../controller/retention.ts";
import type { SnapshotKeeper } from "../controller/snapshot-keeper.ts";
import type { Seq } from "../events/envelope.ts";

/** A snapshot is due after so many events, or so long after the first that no snapshot has. */
const EVENTS = 10_000;
const AGE_MS = 5 * 60_000;

export interface SnapshotScheduleOptions {
  readonly keeper: Pick<SnapshotKeeper, "list" | "create" | "compact">;
  readonly controller: Pick<ControllerPort, "state" | "subscribe">;
  readonly retain: Retain;
  readonly now: () => number;
  readonly onDone: (done: { readonly seq: Seq; readonly archived: number }) => void;
  /** Nothing is lost: the next one is due as if this one had been made. */
  readonly onError: (cause: unknown) => void;
}

/** Makes snapshots while the controller runs, and lets go of old records once two of them cover those. */
export class SnapshotSchedule {
  readonly #options: SnapshotScheduleOptions;
  /** Of the last snapshot, or of the state when the last attempt failed. */
  #covered: Seq = 0;
  #timer: NodeJS.Timeout | null = null;
  #making: Promise<void> | null = null;
  #subscription: { close(): void } | null = null;
  #closed = false;

  constructor(options: SnapshotScheduleOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { keeper, controller } = this.#options;
    this.#covered = (await keeper.list())[0]?.seq ?? 0;
    this.#subscription = controller.subscribe(() => this.#consider());
    // What may stay was perhaps configured anew.
    this.#work(async () => void (await this.#archive()));
  }

  /** Resolves once nothing is being made any more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#subscription?.close();
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#making;
  }

  #consider(): void {
    const uncovered = this.#options.controller.state.seq - this.#covered;
    if (this.#closed || this.#making !== null || uncovered <= 0) return;
    if (uncovered >= EVENTS) this.#make();
    else this.#timer ??= setTimeout(() => this.#make(), AGE_MS).unref();
  }

  #make(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#covered = this.#options.controller.state.seq;
    this.#work(async () => {
      const { keeper, onDone } = this.#options;
      const { seq } = await keeper.create();
      onDone({ seq, archived: await this.#archive() });
    });
  }

  #work(work: () => Promise<void>): void {
    this.#making = work()
      .catch(this.#options.onError)
      .finally(() => {
        this.#making = null;
        this.#consider();
      });
  }

  /** Batch by batch, so that a stop never waits for many; gives how many records left the log. */
  async #archive(): Promise<number> {
    const { keeper, retain, now } = this.#options;
    for (let archived = 0; ; ) {
      const batch = this.#closed ? 0 : await keeper.compact(retain, now());
      if (batch === 0) return archived;
      archived += batch;
    }
  }
}
