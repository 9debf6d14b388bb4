import { Worker } from "node:worker_threads";
import { type ErrorCode, PortreeveError } from "../../lib/errors.ts";
import type { CallMessage, CallName, Calls, ReplyMessage } from "./messages.ts";

const RESTART_MIN_MS = 50;
const RESTART_MAX_MS = 5000;
/** A thread that lived this long starts the backoff anew. */
const HEALTHY_MS = 60_000;

/** What a thread's running call may still take when all is to stop: the reconcilers have waited for it before. */
const CLOSE_MAX_MS = 300;

/** The part of a worker that is used, so that tests can play one. */
export interface WorkerLike {
  postMessage(message: CallMessage | "close", transfer: readonly []): void;
  on(event: "message", listener: (reply: ReplyMessage) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  on(event: "exit", listener: (code: number) => void): unknown;
  terminate(): Promise<unknown>;
}

interface Pending {
  readonly message: CallMessage;
  readonly timeoutMs: number;
  readonly resolve: (reply: never) => void;
  readonly reject: (error: Error) => void;
}

function startThread(): WorkerLike {
  // Runs as built: Node 20 cannot load a TypeScript worker.
  return new Worker(new URL("./worker.js", import.meta.url), { name: "portreeve-nft" });
}

/**
 * One call at a time to the thread, in order, so that a timeout is the call's own and not that of those before it. A
 * thread that dies or does not answer fails its call, and only that, and is replaced.
 */
export class WorkerLink {
  readonly #start: () => WorkerLike;
  readonly #onRestart: (reason: string) => void;
  #queue: Pending[] = [];
  #active: Pending | null = null;
  #worker: WorkerLike | null = null;
  #timer: NodeJS.Timeout | null = null;
  #restart: NodeJS.Timeout | null = null;
  #startedAt = 0;
  #backoffMs = RESTART_MIN_MS;
  #nextId = 1;
  #closed = false;

  /** `onRestart`: the thread is gone; called before its call is failed. */
  constructor(onRestart: (reason: string) => void, start: () => WorkerLike = startThread) {
    this.#onRestart = onRestart;
    this.#start = start;
  }

  get busy(): boolean {
    return this.#active !== null;
  }

  call<N extends CallName>(name: N, request: Calls[N]["request"], timeoutMs: number): Promise<Calls[N]["reply"]> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(unavailable("nftables is closed"));
      const message = { id: this.#nextId, name, request };
      this.#nextId += 1;
      this.#queue.push({ message, timeoutMs, resolve, reject });
      this.#pump();
    });
  }

  /** Lets the running call end, then closes what the thread owns; one that hangs is not waited for. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const { reject } of this.#queue.splice(0)) reject(unavailable("nftables is closed"));
    if (this.#restart !== null) clearTimeout(this.#restart);
    const worker = this.#worker;
    if (worker === null) return;
    const exited = new Promise<void>((resolve) => worker.on("exit", () => resolve()));
    worker.postMessage("close", []);
    if (await isInTime(exited, CLOSE_MAX_MS)) return;
    this.#lose("the nftables thread hung when it was to close");
  }

  #pump(): void {
    if (this.#active !== null || this.#queue.length === 0 || this.#restart !== null) return;
    this.#worker ??= this.#open();
    const next = this.#queue.shift() as Pending;
    this.#active = next;
    this.#timer = setTimeout(
      () => this.#lose(`no answer to ${next.message.name} in ${next.timeoutMs} ms`),
      next.timeoutMs,
    );
    this.#worker.postMessage(next.message, []);
  }

  #open(): WorkerLike {
    const worker = this.#start();
    this.#startedAt = performance.now();
    worker.on("message", (reply) => {
      if (worker === this.#worker) this.#settle(reply);
    });
    worker.on("error", (error) => {
      if (worker === this.#worker) this.#lose(`the nftables thread failed: ${error.message}`);
    });
    worker.on("exit", (code) => {
      if (worker === this.#worker) this.#lose(`the nftables thread ended with ${code}`);
    });
    return worker;
  }

  #settle(reply: ReplyMessage): void {
    const active = this.#active;
    if (active === null || active.message.id !== reply.id) return;
    this.#clearActive();
    if (reply.ok) active.resolve(reply.reply as never);
    else active.reject(replyError(reply.code, reply.message, reply.transient));
    this.#pump();
  }

  #lose(reason: string): void {
    const [lost, active] = [this.#worker, this.#active];
    this.#worker = null;
    this.#clearActive();
    // It may hang in a call of the C library that cannot be interrupted: it is told, and not waited for.
    void lost?.terminate();
    if (this.#closed) return active?.reject(unavailable(reason));
    if (performance.now() - this.#startedAt > HEALTHY_MS) this.#backoffMs = RESTART_MIN_MS;
    this.#restart = setTimeout(() => {
      this.#restart = null;
      this.#pump();
    }, this.#backoffMs);
    this.#backoffMs = Math.min(this.#backoffMs * 2, RESTART_MAX_MS);
    this.#onRestart(reason);
    active?.reject(unavailable(reason));
  }

  #clearActive(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    [this.#timer, this.#active] = [null, null];
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

const unavailable = (message: string): PortreeveError => new PortreeveError("UNAVAILABLE", message, "transient");

function replyError(code: ErrorCode, message: string, transient: boolean): PortreeveError {
  return new PortreeveError(code, message, transient ? "transient" : "terminal");
}
