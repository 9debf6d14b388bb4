import { createServer, type Server, type Socket } from "node:net";
import { endsConnections, listenOnDevice } from "../../../../lib/device-server.ts";
import type { DeviceSocket } from "../../../../lib/device-socket.ts";
import { Frames, framed } from "../../../../protocols/dns/frames.ts";
import { type Client, isSeveral, type Reply, type Respond } from "../answers/exchange.ts";
import type { DnsListener } from "../../messages.ts";
import { whenTaken } from "./taken-port.ts";
import type { OpenSocket } from "./udp-listener.ts";

export interface TcpLimits {
  /** RFC 7766 §6.2.3. */
  readonly idleMs: number;
  /** From the first octet of a message to its last, and for a client that does not read. */
  readonly partialMs: number;
  /** Answers that one connection waits for; beyond, it is not read. */
  readonly outstanding: number;
  readonly perClient: number;
  readonly total: number;
}

export const TCP_LIMITS: TcpLimits = { idleMs: 10_000, partialMs: 5000, outstanding: 32, perClient: 16, total: 512 };

/** What a client has not read yet of its answers, before nothing more is read of it. */
const UNREAD_BYTES_MAX = 256 * 1024;

/** The connections of all listeners: what one client, and all of them, may have open at once. */
export class Connections {
  readonly limits: TcpLimits;
  readonly #perClient = new Map<string, number>();
  #total = 0;

  constructor(limits: TcpLimits = TCP_LIMITS) {
    this.limits = limits;
  }

  get total(): number {
    return this.#total;
  }

  /** Half full, idle ones have a fifth of the time (RFC 7766 §6.2.3 lets a busy server do so). */
  get idleMs(): number {
    return this.#total * 2 > this.limits.total ? this.limits.idleMs / 5 : this.limits.idleMs;
  }

  /** Whether one more may stay open; `leave` then takes it off again. */
  enter(client: string): boolean {
    const open = this.#perClient.get(client) ?? 0;
    if (open >= this.limits.perClient || this.#total >= this.limits.total) return false;
    this.#perClient.set(client, open + 1);
    this.#total += 1;
    return true;
  }

  leave(client: string): void {
    const left = (this.#perClient.get(client) ?? 1) - 1;
    if (left === 0) this.#perClient.delete(client);
    else this.#perClient.set(client, left);
    this.#total -= 1;
  }
}

/** The TCP socket of one address. */
export async function openTcp(
  listener: DnsListener,
  respond: Respond,
  connections: Connections,
  onLost: (cause: Error) => void,
): Promise<OpenSocket> {
  const { interface: served, address, port } = listener;
  const place: DeviceSocket = { interface: served, address, port, transport: "tcp", whenTaken: whenTaken(listener) };
  // A client that has asked all it wants may say so and still hears the answers.
  const server = createServer({ allowHalfOpen: true, noDelay: true });
  await listenOnDevice(server, place);
  server.on("error", onLost);
  return converse(server, listener, respond, connections);
}

/** Answers whoever connects to a server. */
export function converse(
  server: Server,
  listener: DnsListener,
  respond: Respond,
  connections: Connections,
): OpenSocket {
  server.on("connection", (socket: Socket) => new Connection(socket, listener, respond, connections).start());
  return endsConnections(server);
}

/** One client's stream: many questions at once, answered as they are ready (RFC 7766 §6.2.1.1, §7). */
class Connection {
  readonly #socket: Socket;
  readonly #client: Client;
  readonly #respond: Respond;
  readonly #connections: Connections;
  readonly #frames = new Frames();
  /** Whole messages whose turn has not come. */
  readonly #waiting: Uint8Array[] = [];
  #outstanding = 0;
  #timer: NodeJS.Timeout | null = null;
  /** Since when a message has been unfinished: more octets of it give no more time. */
  #partial = false;
  #ended = false;

  constructor(socket: Socket, listener: DnsListener, respond: Respond, connections: Connections) {
    this.#socket = socket;
    this.#respond = respond;
    this.#connections = connections;
    this.#client = { listener, address: socket.remoteAddress ?? "", port: socket.remotePort ?? 0, transport: "tcp" };
  }

  start(): void {
    const socket = this.#socket;
    socket.on("error", () => socket.destroy());
    if (!this.#connections.enter(this.#client.address)) {
      socket.destroy();
      return;
    }
    socket.on("close", () => {
      this.#connections.leave(this.#client.address);
      this.#disarm();
    });
    socket.on("data", (piece) => this.#read(piece));
    socket.on("drain", () => this.#proceed());
    socket.on("end", () => {
      this.#ended = true;
      this.#proceed();
    });
    this.#arm(this.#connections.idleMs);
  }

  #read(piece: Buffer): void {
    for (const message of this.#frames.push(piece)) {
      this.#partial = false;
      this.#waiting.push(message);
    }
    const { unfinished } = this.#frames;
    if (unfinished && !this.#partial) this.#arm(this.#connections.limits.partialMs);
    else if (!unfinished) this.#arm(this.#connections.idleMs);
    this.#partial = unfinished;
    this.#proceed();
  }

  /** As many answers at once as one connection may wait for; what it sends beyond is left in its own buffers. */
  #proceed(): void {
    const socket = this.#socket;
    const full = (): boolean =>
      this.#outstanding >= this.#connections.limits.outstanding || socket.writableLength > UNREAD_BYTES_MAX;
    while (this.#waiting.length > 0 && !full() && !socket.destroyed) this.#answer(this.#waiting.shift() as Uint8Array);
    if (socket.destroyed) return;
    if (this.#ended && this.#outstanding === 0 && this.#waiting.length === 0) socket.end();
    const pause = this.#waiting.length > 0 || full();
    if (pause && !socket.isPaused()) socket.pause();
    else if (!pause && socket.isPaused()) socket.resume();
  }

  #answer(message: Uint8Array): void {
    const reply = this.#respond(message, this.#client);
    if (!(reply instanceof Promise)) return this.#write(reply);
    this.#outstanding += 1;
    void reply.then((ready) => {
      this.#outstanding -= 1;
      this.#write(ready);
      this.#proceed();
    });
  }

  #write(reply: Reply): void {
    if (this.#socket.destroyed) return;
    // Over TCP silence means that nobody who speaks DNS is there.
    if (reply === null) this.#socket.destroy();
    else for (const each of isSeveral(reply) ? reply : [reply]) this.#socket.write(framed(each));
  }

  #arm(ms: number): void {
    this.#disarm();
    this.#timer = setTimeout(() => {
      this.#timer = null;
      // Answers are bounded in time by whoever finds them; a client that takes none of them is not.
      if (this.#outstanding > 0 && !this.#partial && this.#socket.writableLength === 0)
        this.#arm(this.#connections.idleMs);
      else this.#socket.destroy();
    }, ms);
    this.#timer.unref();
  }

  #disarm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
