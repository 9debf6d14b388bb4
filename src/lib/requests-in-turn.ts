import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** RFC 9112 §2.1: what a head ends with. */
const HEAD_END = "\r\n\r\n";
/** "GET / HTTP/1.1" and its end; so that blank lines are not handed over one by one. */
const HEAD_MIN = 18;

/**
 * Answers what one connection asks one request after another, and whatever others ask in between. Node parses all that has
 * arrived and begins each request in it at once, so that a few connections with thousands of requests each (RFC 9112
 * §9.3.2) keep everybody waiting. `once`: the first is the only one; what follows it is never looked at.
 *
 * The parser of Node is the one that listens to the socket's data. It is handed that data piece by piece here: to the end
 * of a head at most, so that a piece begins two requests at most, the second behind the body of the first.
 */
export function answerInTurn(server: Server, { once }: { readonly once: boolean }): void {
  const turns = new WeakMap<Socket, Turns>();
  const take = (socket: Socket): void => {
    const [parse] = socket.listeners("data") as ((piece: Buffer) => void)[];
    // Of a connection by TLS, before the handshake.
    if (parse === undefined) return;
    socket.off("data", parse);
    const turn = new Turns(socket, parse, once);
    turns.set(socket, turn);
    socket.on("data", (piece: Buffer) => turn.take(piece));
  };
  server.on("connection", take);
  server.on("secureConnection", take);
  server.prependListener("request", (request: IncomingMessage, response: ServerResponse) =>
    turns.get(request.socket)?.begin(request, response),
  );
}

/** Of one connection. */
class Turns {
  readonly #socket: Socket;
  readonly #parse: (piece: Buffer) => void;
  readonly #once: boolean;
  readonly #open = new Set<IncomingMessage>();
  #last: IncomingMessage | null = null;

  constructor(socket: Socket, parse: (piece: Buffer) => void, once: boolean) {
    this.#socket = socket;
    this.#parse = parse;
    this.#once = once;
  }

  begin(request: IncomingMessage, response: ServerResponse): void {
    this.#last = request;
    this.#open.add(request);
    response.once("close", () => {
      this.#open.delete(request);
      // Not at once: a request that is answered at once would be followed by all the others.
      if (!this.#waits && this.#socket.isPaused()) setImmediate(() => this.#socket.resume());
    });
  }

  take(piece: Buffer): void {
    for (let at = 0; at < piece.length && !this.#socket.destroyed; ) {
      if (this.#waits) {
        // Only with something to hold back: who does not read does not notice either that the client went away.
        this.#socket.pause();
        if (!this.#once) this.#socket.unshift(piece.subarray(at));
        return;
      }
      const end = piece.indexOf(HEAD_END, at + HEAD_MIN - HEAD_END.length);
      const next = end === -1 ? piece.length : end + HEAD_END.length;
      this.#parse(piece.subarray(at, next));
      at = next;
    }
  }

  /** The last request is here to its end, body and all, and not answered yet; or one before it is not. */
  get #waits(): boolean {
    if (this.#open.size > 1) return true;
    return this.#last?.complete === true && (this.#once || this.#open.size > 0);
  }
}
