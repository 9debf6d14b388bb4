import { mkdtempSync, rmSync } from "node:fs";
import { createConnection, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Reply, Respond } from "../../../../src/adapters/dns-server/thread/answers/exchange.ts";
import { Frames, framed } from "../../../../src/protocols/dns/frames.ts";
import {
  Connections,
  converse,
  TCP_LIMITS,
  type TcpLimits,
} from "../../../../src/adapters/dns-server/thread/sockets/tcp-listener.ts";
import type { OpenSocket } from "../../../../src/adapters/dns-server/thread/sockets/udp-listener.ts";

const LISTENER = { view: "home", interface: "lan0", address: "10.0.0.1", port: 53, ifindex: 2 };
const message = (...octets: number[]): Uint8Array => framed(Uint8Array.from(octets));

/** Over a socket of the file system: what is under test is the conversation. */
describe("a connection (F4)", () => {
  let folder: string;
  let open: OpenSocket;
  const clients: Socket[] = [];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "portreeve-dns-"));
  });
  afterEach(async () => {
    for (const each of clients.splice(0)) each.destroy();
    await open.close();
    rmSync(folder, { recursive: true });
  });
  const serve = async (respond: Respond, limits: Partial<TcpLimits> = {}): Promise<Connections> => {
    const connections = new Connections({ ...TCP_LIMITS, ...limits });
    const server = createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve) => server.listen(join(folder, "s"), resolve));
    open = converse(server, LISTENER, respond, connections);
    return connections;
  };
  const connect = async (): Promise<Socket> => {
    const socket = createConnection(join(folder, "s"));
    clients.push(socket);
    await new Promise((resolve) => socket.once("connect", resolve));
    return socket;
  };
  /** The messages that come until the connection ends, or until there are `count`. */
  const heard = async (socket: Socket, count = Number.POSITIVE_INFINITY): Promise<number[][]> => {
    const frames = new Frames();
    const got: number[][] = [];
    await new Promise<void>((resolve) => {
      socket.on("data", (piece: Buffer) => {
        for (const each of frames.push(piece)) got.push([...each]);
        if (got.length >= count) resolve();
      });
      socket.on("close", () => resolve());
      socket.on("error", () => resolve());
    });
    return got;
  };

  it("answers what came in one piece, each as it is ready, in any order", async () => {
    let slow: (reply: Reply) => void = () => undefined;
    await serve((bytes) => {
      if (bytes[0] !== 1) return Uint8Array.of(bytes[0] as number, 9);
      return new Promise((resolve) => (slow = resolve));
    });
    const socket = await connect();
    socket.write(Buffer.concat([message(1), message(2), message(3)]));
    expect(await heard(socket, 2)).toEqual([
      [2, 9],
      [3, 9],
    ]);
    slow(Uint8Array.of(1, 9));
    expect(await heard(socket, 1)).toEqual([[1, 9]]);
  });

  it("has its answers although the client said that it asks no more", async () => {
    await serve(async (bytes) => Uint8Array.of(bytes[0] as number, 9));
    const socket = await connect();
    socket.end(Buffer.concat([message(1), message(2)]));
    expect(await heard(socket)).toEqual([
      [1, 9],
      [2, 9],
    ]);
  });

  it("sends a transfer as the messages it is", async () => {
    await serve(() => [Uint8Array.of(1), Uint8Array.of(2)]);
    const socket = await connect();
    socket.write(message(7));
    expect(await heard(socket, 2)).toEqual([[1], [2]]);
  });

  it("is left unread while too many of its answers are under way, and then goes on", async () => {
    const ready: ((reply: Reply) => void)[] = [];
    await serve(() => new Promise((resolve) => ready.push(resolve)), { outstanding: 3 });
    const socket = await connect();
    socket.write(Buffer.concat([1, 2, 3, 4, 5, 6, 7].map((each) => message(each))));
    await expect.poll(() => ready.length).toBe(3);
    const all = heard(socket, 7);
    for (let count = 0; count < 7; count += 1) {
      await expect.poll(() => ready.length).toBeGreaterThan(count);
      expect(ready.length).toBeLessThanOrEqual(count + 3);
      ready[count]?.(Uint8Array.of(count));
    }
    expect(await all).toHaveLength(7);
  });

  it.each([
    ["says nothing", []],
    ["begins a message and does not end it", [0, 5, 1]],
    ["has one answered and begins another", [0, 1, 1, 0]],
  ])("ends when its client %s", async (_what, octets) => {
    const connections = await serve(() => Uint8Array.of(1), { idleMs: 40, partialMs: 20 });
    const socket = await connect();
    socket.write(Buffer.from(octets));
    await heard(socket);
    await expect.poll(() => connections.total).toBe(0);
  });

  it("is not kept open by a client that sends an octet now and then (slow loris)", async () => {
    await serve(() => Uint8Array.of(1), { idleMs: 10_000, partialMs: 60 });
    const socket = await connect();
    const drip = setInterval(() => socket.write(Buffer.of(0)), 5);
    socket.write(Buffer.of(255));
    await heard(socket);
    clearInterval(drip);
    expect(socket.destroyed).toBe(true);
  });

  it("is one of a few that a client may have", async () => {
    const connections = await serve(() => Uint8Array.of(1), { perClient: 2 });
    const both = [await connect(), await connect()];
    await expect.poll(() => connections.total).toBe(2);
    await heard(await connect());
    for (const socket of both) {
      socket.write(message(1));
      expect(await heard(socket, 1)).toEqual([[1]]);
    }
    both[0]?.destroy();
    await expect.poll(() => connections.total).toBe(1);
    const next = await connect();
    next.write(message(1));
    expect(await heard(next, 1)).toEqual([[1]]);
  });

  it("ends where there is nothing to say", async () => {
    await serve(() => null);
    const socket = await connect();
    socket.write(message(1));
    expect(await heard(socket)).toEqual([]);
  });
});
