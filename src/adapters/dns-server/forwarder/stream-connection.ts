import type { Socket } from "node:net";
import { MESSAGE_OCTETS_MAX } from "../../../protocols/dns/constants.ts";
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

  /** `socket` is being connected; `readyEvent` is when it may be written to in the sense of its protocol. */
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
      const framed = new Uint8Array(2 + query.bytes.length);
      framed[0] = query.bytes.length >> 8;
      framed[1] = query.bytes.length & 0xff;
      framed.set(query.bytes, 2);
      this.#socket.write(framed);
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
    for (const bytes of this.#frames.take(chunk)) {
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

/** Messages behind their two octets of length (RFC 1035 §4.2.2). One is held in parts at most, in a buffer of its size. */
class Frames {
  readonly #length = new Uint8Array(2);
  #lengthHeld = 0;
  #message: Uint8Array | null = null;
  #held = 0;

  *take(chunk: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < chunk.length; ) {
      if (this.#message === null) {
        this.#length[this.#lengthHeld] = chunk[at] as number;
        this.#lengthHeld += 1;
        at += 1;
        if (this.#lengthHeld < 2) continue;
        this.#lengthHeld = 0;
        this.#message = new Uint8Array(
          Math.min(MESSAGE_OCTETS_MAX, ((this.#length[0] as number) << 8) | (this.#length[1] as number)),
        );
        this.#held = 0;
      }
      const part = chunk.subarray(at, at + this.#message.length - this.#held);
      this.#message.set(part, this.#held);
      this.#held += part.length;
      at += part.length;
      if (this.#held < this.#message.length) continue;
      const whole = this.#message;
      this.#message = null;
      yield whole;
    }
  }
}
