import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server, type Socket as TcpSocket } from "node:net";

/** Gives the datagrams or messages to send back, at once or never. */
export type Behaviour = (
  query: Buffer,
  ask: { readonly transport: "udp" | "tcp"; readonly port: number },
) => Uint8Array | readonly Uint8Array[] | null;

/** A resolver on loopback that does as it is told. */
export class LoopbackUpstream {
  readonly udp: Socket;
  readonly tcp: Server;
  readonly queries: { readonly bytes: Buffer; readonly transport: "udp" | "tcp"; readonly port: number }[] = [];
  readonly connections = new Set<TcpSocket>();
  connectionsMade = 0;
  port = 0;
  behaviour: Behaviour;
  #waiters: (() => void)[] = [];

  constructor(behaviour: Behaviour) {
    this.behaviour = behaviour;
    this.udp = createSocket("udp4");
    this.tcp = createServer((socket) => this.#serve(socket));
  }

  static async start(behaviour: Behaviour): Promise<LoopbackUpstream> {
    for (;;) {
      const upstream = new LoopbackUpstream(behaviour);
      upstream.tcp.listen(0, "127.0.0.1");
      await once(upstream.tcp, "listening");
      upstream.port = (upstream.tcp.address() as { port: number }).port;
      upstream.udp.on("message", (bytes, { port }) => upstream.#take(bytes, port));
      try {
        upstream.udp.bind(upstream.port, "127.0.0.1");
        await once(upstream.udp, "listening");
        return upstream;
      } catch {
        // The port of the one is taken for the other.
        upstream.tcp.close();
      }
    }
  }

  get text(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Resolves once that many queries came. */
  async asked(count: number): Promise<void> {
    while (this.queries.length < count) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  async close(): Promise<void> {
    this.udp.close();
    for (const socket of this.connections) socket.destroy();
    await new Promise((resolve) => this.tcp.close(resolve));
  }

  #note(bytes: Buffer, transport: "udp" | "tcp", port: number): readonly Uint8Array[] {
    this.queries.push({ bytes, transport, port });
    for (const waiter of this.#waiters.splice(0)) waiter();
    const replies = this.behaviour(bytes, { transport, port });
    return replies === null ? [] : replies instanceof Uint8Array ? [replies] : replies;
  }

  #take(bytes: Buffer, port: number): void {
    for (const reply of this.#note(bytes, "udp", port)) this.udp.send(reply, port, "127.0.0.1");
  }

  #serve(socket: TcpSocket): void {
    this.connectionsMade += 1;
    this.connections.add(socket);
    socket.on("close", () => this.connections.delete(socket));
    socket.on("error", () => undefined);
    let held = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
        const message = held.subarray(2, 2 + held.readUInt16BE(0));
        held = held.subarray(2 + message.length);
        for (const reply of this.#note(Buffer.from(message), "tcp", socket.remotePort ?? 0)) {
          const length = Buffer.alloc(2);
          length.writeUInt16BE(reply.length);
          socket.write(Buffer.concat([length, reply]));
        }
      }
    });
  }
}
