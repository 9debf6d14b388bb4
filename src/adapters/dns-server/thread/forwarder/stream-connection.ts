import type { Socket } from "node:net";
import { Frames, framed } from "../../../../protocols/dns/frames.ts";
import { causeText, UpstreamFault, WITHDRAWN } from "./upstream-fault.ts";
import { kinship, type UpstreamQuery } from "./upstream-query.ts";

const IDLE_MS = 10_000;
/** A query given up after this long, with nothing heard since it was sent, was sent to nobody. */
const SILENCE_MS = 1500;
const WAITING_MAX = 1000;

interface Waiting {
  readonly query: UpstreamQuery;
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (fault: UpstreamFault) => void;
}

/** One connection that many queries share, TCP or TLS (RFC 7766 §6.2): answers come in any order. */
export class StreamConnection {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  readonly #frames = new Frames();
  #heardAt = 0;
  #answers = 0;
  #open = true;

  /** `socket` may still be connecting: it keeps what is written until it is ready. */
  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setTimeout(IDLE_MS, () => this.#end(new UpstreamFault("closed", "idle")));
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("error", (cause) => this.#end(new UpstreamFault("unreachable", causeText(cause))));
    socket.on("close", () => this.#end(new UpstreamFault("closed", "the connection was closed")));
  }

  get usable(): boolean {
    return this.#open && this.#waiting.size < WAITING_MAX;
  }

  /** Whether an answer ever came: one that is closed then was good, and the query deserves another. */
  get proven(): boolean {
    return this.#answers > 0;
  }

  isTaken(id: number): boolean {
    return this.#waiting.has(id);
  }

  ask(query: UpstreamQuery, signal: AbortSignal): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(WITHDRAWN);
      const sentAt = performance.now();
      this.#waiting.set(query.id, { query, resolve, reject });
      signal.addEventListener("abort", () => this.#giveUp(query.id, sentAt), { once: true });
      this.#socket.write(framed(query.bytes));
    });
  }

  close(): void {
    this.#end(WITHDRAWN);
  }

  #giveUp(id: number, sentAt: number): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    waiting.reject(WITHDRAWN);
    const silent = this.#heardAt < sentAt && performance.now() - sentAt >= SILENCE_MS;
    if (silent) this.#end(new UpstreamFault("closed", "nothing came"));
  }

  #take(chunk: Buffer): void {
    this.#heardAt = performance.now();
    for (const bytes of this.#frames.push(chunk)) {
      const waiting =
        bytes.length < 2 ? undefined : this.#waiting.get(((bytes[0] as number) << 8) | (bytes[1] as number));
      // An answer to what nobody waits for any more, or to what nobody asked.
      if (waiting === undefined || kinship(bytes, waiting.query) === "none") continue;
      this.#answers += 1;
      this.#waiting.delete(waiting.query.id);
      waiting.resolve(bytes);
    }
  }

  #end(fault: UpstreamFault): void {
    if (!this.#open) return;
    this.#open = false;
    this.#socket.destroy();
    for (const { reject } of this.#waiting.values()) reject(fault);
    this.#waiting.clear();
  }
}
