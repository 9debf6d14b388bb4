const RESTART_MIN_MS = 50;
const RESTART_MAX_MS = 5000;
/** A thread that lived this long starts the backoff anew. */
const HEALTHY_MS = 60_000;
/** What a thread may still take when all is to stop: whoever needs more of it has waited before. */
const CLOSE_MAX_MS = 300;

/** The part of a `Worker` that is used, so that tests can play one. */
export interface Thread<In, Out> {
  postMessage(message: In, transfer: readonly []): void;
  on(event: "message", listener: (message: Out) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  on(event: "exit", listener: (code: number) => void): unknown;
  terminate(): Promise<unknown>;
}

export interface ThreadOptions<In, Out> {
  /** "DNS": what its loss is told with. */
  readonly name: string;
  readonly start: () => Thread<In, Out>;
  readonly onMessage: (message: Out) => void;
  /** It is gone, for this reason, and what was asked of it is answered by nobody. */
  readonly onLost: (reason: string) => void;
  /** After a loss, and a pause that grows if threads keep dying: another one may be opened. */
  readonly onRested: () => void;
}

/** One thread after the other: who dies or hangs is done away with, and is replaced after a pause. */
export class WorkerThread<In, Out> {
  readonly #options: ThreadOptions<In, Out>;
  #thread: Thread<In, Out> | null = null;
  #pause: NodeJS.Timeout | null = null;
  #startedAt = 0;
  #backoffMs = RESTART_MIN_MS;
  #generation = 0;
  #closed = false;

  constructor(options: ThreadOptions<In, Out>) {
    this.#options = options;
  }

  get running(): boolean {
    return this.#thread !== null;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Rises with each new thread: what one of them was told is nothing to the next. */
  get generation(): number {
    return this.#generation;
  }

  /** Whether there is a thread now. None is started in the pause after a loss. */
  open(): boolean {
    if (this.#thread !== null) return true;
    if (this.#closed || this.#pause !== null) return false;
    const thread = this.#options.start();
    this.#thread = thread;
    this.#generation += 1;
    this.#startedAt = performance.now();
    const { name, onMessage } = this.#options;
    thread.on("message", (message) => {
      if (thread === this.#thread) onMessage(message);
    });
    thread.on("error", (error) => {
      if (thread === this.#thread) this.lose(`the ${name} thread failed: ${error.message}`);
    });
    thread.on("exit", (code) => {
      if (thread === this.#thread) this.lose(`the ${name} thread ended with ${code}`);
    });
    return true;
  }

  /** Nobody hears it where there is no thread. */
  post(message: In): void {
    this.#thread?.postMessage(message, []);
  }

  /** Gives it up. It may hang in a call of a C library that cannot be interrupted: it is told, and not waited for. */
  lose(reason: string): void {
    void this.#thread?.terminate();
    this.#thread = null;
    if (!this.#closed) this.#rest();
    this.#options.onLost(reason);
  }

  /** `farewell` asks it to end by itself. No other thread is started from here on. */
  async close(farewell: In): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#pause !== null) clearTimeout(this.#pause);
    const thread = this.#thread;
    if (thread === null) return;
    const exited = new Promise<void>((resolve) => thread.on("exit", () => resolve()));
    this.post(farewell);
    if (await isInTime(exited, CLOSE_MAX_MS)) return;
    this.lose(`the ${this.#options.name} thread hung when it was to close`);
  }

  #rest(): void {
    if (performance.now() - this.#startedAt > HEALTHY_MS) this.#backoffMs = RESTART_MIN_MS;
    this.#pause = setTimeout(() => {
      this.#pause = null;
      this.#options.onRested();
    }, this.#backoffMs);
    this.#backoffMs = Math.min(this.#backoffMs * 2, RESTART_MAX_MS);
  }
}

function isInTime(event: Promise<void>, maxMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const tooLate = setTimeout(() => resolve(false), maxMs);
    void event.then(() => {
      clearTimeout(tooLate);
      resolve(true);
    });
  });
}
