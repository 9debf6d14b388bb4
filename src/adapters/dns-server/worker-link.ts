import { Worker } from "node:worker_threads";
import { PortreeveError } from "../../lib/errors.ts";
import { type Thread, WorkerThread } from "../../lib/worker-thread.ts";
import { Gathering } from "./gathering.ts";
import type { FromWorker, ToWorker, WorkerSettings } from "./messages.ts";

export type DnsThread = Thread<readonly ToWorker[], FromWorker>;

function startThread(settings: WorkerSettings): DnsThread {
  // Runs as built: Node 20 cannot load a TypeScript worker.
  return new Worker(new URL("./thread/worker.js", import.meta.url), { name: "portreeve-dns", workerData: settings });
}

type Question = Extract<ToWorker, { kind: "rows" | "listen" | "ask" }>;
type Reply = Extract<FromWorker, { kind: "applied" | "listening" | "asked" }>;
type ReplyTo<Kind extends Question["kind"]> = Extract<
  Reply,
  { kind: { rows: "applied"; listen: "listening"; ask: "asked" }[Kind] }
>;
type WithoutId<Message> = Message extends { readonly id: number } ? Omit<Message, "id"> : never;

/** What the worker says by itself, and not because it was asked. */
export type FromWorkerItself = Exclude<FromWorker, Reply>;

export interface WorkerEvents {
  /** A new thread is there and knows nothing. */
  onStart(): void;
  /** After a loss: from now on another thread can be opened. */
  onRested(): void;
  /** What had been asked of the last one failed before this is called. */
  onLoss(reason: string): void;
  onMessage(message: FromWorkerItself): void;
}

/** The thread that answers, and what it was asked: any number of questions at once. */
export class WorkerLink {
  readonly #events: WorkerEvents;
  readonly #thread: WorkerThread<readonly ToWorker[], FromWorker>;
  /** In order: what is answered after rows were told is answered by who has them. */
  readonly #outbox = new Gathering<ToWorker>((messages) => this.#thread.post(messages));
  readonly #pending = new Map<number, { resolve: (reply: never) => void; reject: (error: Error) => void }>();
  #nextId = 1;

  constructor(settings: WorkerSettings, events: WorkerEvents, start: () => DnsThread = () => startThread(settings)) {
    this.#events = events;
    this.#thread = new WorkerThread({
      name: "DNS",
      start,
      onMessage: (message) => this.#hear(message),
      onLost: (reason) => this.#lost(reason),
      onRested: () => events.onRested(),
    });
  }

  get running(): boolean {
    return this.#thread.running;
  }

  get generation(): number {
    return this.#thread.generation;
  }

  /** Starts the thread; nothing happens if there is one. */
  open(): void {
    if (!this.running && this.#thread.open()) this.#events.onStart();
  }

  tell(message: ToWorker): void {
    if (this.running) this.#outbox.add(message);
  }

  ask<Kind extends Question["kind"]>(
    question: WithoutId<Extract<Question, { kind: Kind }>>,
    signal?: AbortSignal,
  ): Promise<ReplyTo<Kind>> {
    return new Promise((resolve, reject) => {
      if (!this.running) return reject(unavailable("the DNS thread is not running"));
      const id = this.#nextId;
      this.#nextId += 1;
      this.#pending.set(id, { resolve, reject });
      signal?.addEventListener("abort", () => {
        if (this.#pending.delete(id)) reject(unavailable("the DNS thread did not answer in time"));
      });
      this.#outbox.add({ ...question, id });
    });
  }

  async close(): Promise<void> {
    await this.#thread.close([...this.#outbox.take(), { kind: "close" }]);
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

  #lost(reason: string): void {
    this.#outbox.take();
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of pending) reject(unavailable(reason));
    if (!this.#thread.closed) this.#events.onLoss(reason);
  }
}

function unavailable(message: string): PortreeveError {
  return new PortreeveError("UNAVAILABLE", message, "transient");
}
