import { Worker } from "node:worker_threads";
import { type ErrorCode, PortreeveError } from "../../lib/errors.ts";
import { type Thread, WorkerThread } from "../../lib/worker-thread.ts";
import type { CallMessage, CallName, Calls, ReplyMessage } from "./messages.ts";

type ToThread = CallMessage | "close";
export type NftThread = Thread<ToThread, ReplyMessage>;

interface Pending {
  readonly message: CallMessage;
  readonly timeoutMs: number;
  readonly resolve: (reply: never) => void;
  readonly reject: (error: Error) => void;
}

function startThread(): NftThread {
  // Runs as built: Node 20 cannot load a TypeScript worker.
  return new Worker(new URL("./worker.js", import.meta.url), { name: "portreeve-nft" });
}

/**
 * One call at a time to the thread, in order, so that a timeout is the call's own and not that of those before it. A
 * thread that dies or does not answer fails its call, and only that, and is replaced.
 */
export class WorkerLink {
  readonly #thread: WorkerThread<ToThread, ReplyMessage>;
  readonly #onRestart: (reason: string) => void;
  #queue: Pending[] = [];
  #active: Pending | null = null;
  #timer: NodeJS.Timeout | null = null;
  #nextId = 1;

  /** `onRestart`: the thread is gone; called before its call is failed. */
  constructor(onRestart: (reason: string) => void, start: () => NftThread = startThread) {
    this.#onRestart = onRestart;
    this.#thread = new WorkerThread({
      name: "nftables",
      start,
      onMessage: (reply) => this.#settle(reply),
      onLost: (reason) => this.#lost(reason),
      onRested: () => this.#pump(),
    });
  }

  get busy(): boolean {
    return this.#active !== null;
  }

  call<N extends CallName>(name: N, request: Calls[N]["request"], timeoutMs: number): Promise<Calls[N]["reply"]> {
    return new Promise((resolve, reject) => {
      if (this.#thread.closed) return reject(unavailable("nftables is closed"));
      const message = { id: this.#nextId, name, request };
      this.#nextId += 1;
      this.#queue.push({ message, timeoutMs, resolve, reject });
      this.#pump();
    });
  }

  /** Lets the running call end, then closes what the thread owns; one that hangs is not waited for. */
  async close(): Promise<void> {
    for (const { reject } of this.#queue.splice(0)) reject(unavailable("nftables is closed"));
    await this.#thread.close("close");
  }

  #pump(): void {
    if (this.#active !== null || this.#queue.length === 0 || !this.#thread.open()) return;
    const next = this.#queue.shift() as Pending;
    this.#active = next;
    this.#timer = setTimeout(
      () => this.#thread.lose(`no answer to ${next.message.name} in ${next.timeoutMs} ms`),
      next.timeoutMs,
    );
    this.#thread.post(next.message);
  }

  #settle(reply: ReplyMessage): void {
    const active = this.#active;
    if (active === null || active.message.id !== reply.id) return;
    this.#clearActive();
    if (reply.ok) active.resolve(reply.reply as never);
    else active.reject(replyError(reply.code, reply.message, reply.transient));
    this.#pump();
  }

  #lost(reason: string): void {
    const active = this.#active;
    this.#clearActive();
    if (!this.#thread.closed) this.#onRestart(reason);
    active?.reject(unavailable(reason));
  }

  #clearActive(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    [this.#timer, this.#active] = [null, null];
  }
}

const unavailable = (message: string): PortreeveError => new PortreeveError("UNAVAILABLE", message, "transient");

function replyError(code: ErrorCode, message: string, transient: boolean): PortreeveError {
  return new PortreeveError(code, message, transient ? "transient" : "terminal");
}
