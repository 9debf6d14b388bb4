import { Worker } from "node:worker_threads";
import { PortreeveError } from "../../lib/errors.ts";
import type { FromWorker, ToWorker, WorkerSettings } from "./messages.ts";

const RESTART_MIN_MS = 50;
const RESTART_MAX_MS = 5000;
/** A thread that lived this long starts the backoff anew. */
const HEALTHY_MS = 60_000;
const CLOSE_MAX_MS = 300;

/** The part of a worker that is used, so that tests can play one. */
export interface WorkerLike {
  postMessage(message: ToWorker, transfer: readonly []): void;
  on(event: "message", listener: (message: FromWorker) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  on(event: "exit", listener: (code: number) => void): unknown;
  terminate(): Promise<unknown>;
}

function startThread(settings: WorkerSettings): WorkerLike {
  // Runs as built: Node 20 cannot load a TypeScript worker.
  return new Worker(new URL("./worker.js", import.meta.url), { name: "portreeve-dns", workerData: settings });
}

type Asking = Extract<ToWorker, { id: number }>;
type Question = Exclude<Asking, { kind: "verdict" }>;
type Reply = Extract<FromWorker, { kind: "applied" | "listening" | "asked" }>;
type ReplyTo<Kind extends Question["kind"]> = Extract<
  Reply,
  { kind: { rows: "applied"; listen: "listening"; ask: "asked" }[Kind] }
>;
type WithoutId<Message> = Message extends { readonly id: number } ? Omit<Message, "id"> : never;

export interface WorkerEvents {
  /** A new thread is there and knows nothing. */
  onStart(): void;
  /** What had been asked of the last one failed before this is called. */
  onLoss(reason: string): void;
  onMessage(message: Exclude<FromWorker, Reply>): void;
}

/** The thread that answers. One that dies is replaced, with a growing pause if it keeps dying. */
export class WorkerLink {
  readonly #events: WorkerEvents;
  readonly #start: () => WorkerLike;
  readonly #pending = new Map<number, { resolve: (reply: never) => void; reject: (error: Error) => void }>();
  #worker: WorkerLike | null = null;
  #restart: NodeJS.Timeout | null = null;
  #startedAt = 0;
  #backoffMs = RESTART_MIN_MS;
  #nextId = 1;
  #generation = 0;
  #closed = false;

  constructor(settings: WorkerSettings, events: WorkerEvents, start: () => WorkerLike = () => startThread(settings)) {
    this.#events = events;
    this.#start = start;
  }

  get running(): boolean {
    return this.#worker !== null;
  }

  /** Rises with each new thread: what one of them asked is nothing to the next, which counts its questions anew. */
  get generation(): number {
    return this.#generation;
  }

  /** Starts the thread; nothing happens if there is one. */
  open(): void {
    if (this.#worker !== null || this.#closed || this.#restart !== null) return;
    const worker = this.#start();
    this.#worker = worker;
    this.#generation += 1;
    this.#startedAt = performance.now();
    worker.on("message", (message) => {
      if (worker === this.#worker) this.#hear(message);
    });
    worker.on("error", (error) => {
      if (worker === this.#worker) this.#lose(`the DNS thread failed: ${error.message}`);
    });
    worker.on("exit", (code) => {
      if (worker === this.#worker) this.#lose(`the DNS thread ended with ${code}`);
    });
    this.#events.onStart();
  }

  tell(message: ToWorker): void {
    this.#worker?.postMessage(message, []);
  }

  ask<Kind extends Question["kind"]>(
    question: WithoutId<Extract<Question, { kind: Kind }>>,
    signal?: AbortSignal,
  ): Promise<ReplyTo<Kind>> {
    return new Promise((resolve, reject) => {
      const worker = this.#worker;
      if (worker === null) return reject(unavailable("the DNS thread is not running"));
      const id = this.#nextId;
      this.#nextId += 1;
      this.#pending.set(id, { resolve, reject });
      signal?.addEventListener("abort", () => {
        if (this.#pending.delete(id)) reject(unavailable("the DNS thread did not answer in time"));
      });
      worker.postMessage({ ...question, id }, []);
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#restart !== null) clearTimeout(this.#restart);
    const worker = this.#worker;
    if (worker === null) return;
    const exited = new Promise<void>((resolve) => worker.on("exit", () => resolve()));
    worker.postMessage({ kind: "close" }, []);
    const late = new Promise<void>((resolve) => setTimeout(resolve, CLOSE_MAX_MS).unref());
    await Promise.race([exited, late]);
    this.#worker = null;
    this.#failPending("DNS is closed");
    void worker.terminate();
  }

  #hear(message: FromWorker): void {
    switch (message.kind) {
      case "applied":
      case "listening":
      case "asked": {
        const pending = this.#pending.get(message.id);
        this.#pending.delete(message.id);
        pending?.resolve(message as never);
        return;
      }
      default:
        this.#events.onMessage(message);
    }
  }

  #lose(reason: string): void {
    const lost = this.#worker;
    this.#worker = null;
    void lost?.terminate();
    this.#failPending(reason);
    if (this.#closed) return;
    if (performance.now() - this.#startedAt > HEALTHY_MS) this.#backoffMs = RESTART_MIN_MS;
    this.#restart = setTimeout(() => {
      this.#restart = null;
      this.open();
    }, this.#backoffMs);
    this.#backoffMs = Math.min(this.#backoffMs * 2, RESTART_MAX_MS);
    this.#events.onLoss(reason);
  }

  #failPending(reason: string): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of pending) reject(unavailable(reason));
  }
}

function unavailable(message: string): PortreeveError {
  return new PortreeveError("UNAVAILABLE", message, "transient");
}
