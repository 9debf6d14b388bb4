import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Reply, Respond } from "../../../../src/adapters/dns-server/thread/answers/exchange.ts";
import { BATCH, DatagramBatch } from "../../../../src/adapters/dns-server/thread/sockets/datagram-batch.ts";
import { openUdp, type OpenSocket } from "../../../../src/adapters/dns-server/thread/sockets/udp-listener.ts";
import { openDeviceSocket } from "../../../../src/lib/device-socket.ts";

const MANY = 5 * BATCH + 7;
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const until = (holds: () => boolean): Promise<void> =>
  vi.waitFor(() => expect(holds()).toBe(true), { timeout: 5000, interval: 2 });

interface Client {
  readonly socket: Socket;
  readonly port: number;
  readonly heard: string[];
}

async function bound(address: string): Promise<Client> {
  const socket = createSocket({ type: address.includes(":") ? "udp6" : "udp4", recvBufferSize: 1 << 20 });
  socket.bind(0, address);
  await once(socket, "listening");
  const heard: string[] = [];
  socket.on("message", (bytes) => void heard.push(bytes.toString()));
  closing.push(async () => void socket.close());
  return { socket, port: socket.address().port, heard };
}

/** A port that nobody had a moment ago. */
async function freePort(address: string): Promise<number> {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4").bind(0, address);
  await once(socket, "listening");
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}

async function serve(address: string, respond: Respond): Promise<{ port: number; open: OpenSocket }> {
  const port = await freePort(address);
  const listener = { view: "home", interface: "lo", address, port, ifindex: 1 };
  const open = await openUdp(listener, respond, (cause) => {
    throw cause;
  });
  closing.push(() => open.close());
  return { port, open };
}

const echo: Respond = (bytes, { address, port }) =>
  Buffer.from(`${Buffer.from(bytes).toString()} of ${address} ${port}`);
/** All of them wait at the other socket before this turn of the loop is over. */
function burst({ socket }: Client, port: number, address: string, texts: readonly string[]): void {
  for (const text of texts) socket.send(text, port, address);
}
const numbered = (count: number): string[] => Array.from({ length: count }, (_, index) => `q${index}`);

describe("the UDP socket of an address (F3)", () => {
  it.each(["127.0.0.1", "::1"])("answers each of a burst at %s, to who asked it", async (address) => {
    const { port } = await serve(address, echo);
    const [one, other] = [await bound(address), await bound(address)];
    burst(one, port, address, numbered(MANY));
    burst(other, port, address, numbered(MANY));
    await until(() => one.heard.length + other.heard.length === 2 * MANY);
    for (const client of [one, other]) {
      expect(client.heard.toSorted()).toEqual(
        numbered(MANY)
          .map((text) => `${text} of ${address} ${client.port}`)
          .toSorted(),
      );
    }
  });

  it("sends what is ready later, what is long and what is empty, and nothing for silence", async () => {
    const long = "x".repeat(60_000);
    const short = (): Reply => Buffer.from("short");
    const replies: Record<string, () => Reply | Promise<Reply>> = {
      later: async () => Buffer.from("later"),
      long: () => Buffer.from(long),
      empty: () => Buffer.alloc(0),
      silence: () => null,
      "no silence": async () => null,
    };
    const { port } = await serve("127.0.0.1", (bytes) => (replies[String(bytes)] ?? short)());
    const client = await bound("127.0.0.1");
    const asked = ["first", "later", "long", "empty", "silence", "no silence", "last"];
    burst(client, port, "127.0.0.1", asked);
    await until(() => client.heard.length === 5);
    expect(client.heard.toSorted()).toEqual(["", "later", long, "short", "short"].toSorted());
  });

  it("takes a datagram of any length whole", async () => {
    const { port } = await serve("127.0.0.1", (bytes) => Buffer.from(`${bytes.length}`));
    const client = await bound("127.0.0.1");
    burst(client, port, "127.0.0.1", ["", "a", "x".repeat(65_507), "b".repeat(500)]);
    await until(() => client.heard.length === 4);
    expect(client.heard.toSorted()).toEqual(["0", "1", "500", "65507"]);
  });

  it("lets others have their turn, whatever waits", async () => {
    let [answered, atEndOfTurn] = [0, 0];
    const { port } = await serve("127.0.0.1", (bytes) => {
      answered += 1;
      if (answered === 1) setImmediate(() => (atEndOfTurn = answered));
      return bytes;
    });
    const client = await bound("127.0.0.1");
    burst(client, port, "127.0.0.1", numbered(20 * BATCH));
    await until(() => client.heard.length === 20 * BATCH);
    expect(atEndOfTurn).toBeLessThan(6 * BATCH);
  });

  it("sends nothing once it is closed, whatever is ready then", async () => {
    const ready: ((reply: Reply) => void)[] = [];
    const { port, open } = await serve("127.0.0.1", () => new Promise((resolve) => void ready.push(resolve)));
    const client = await bound("127.0.0.1");
    burst(client, port, "127.0.0.1", numbered(10));
    await until(() => ready.length === 10);
    const closed = open.close();
    // The descriptor's number is free for whoever opens something now.
    const witness = await serve("127.0.0.1", echo);
    for (const resolve of ready) resolve(Buffer.from("too late"));
    await closed;
    burst(client, witness.port, "127.0.0.1", ["q"]);
    await until(() => client.heard.length > 0);
    expect(client.heard).toEqual([`q of 127.0.0.1 ${client.port}`]);
  });
});

describe("many datagrams by one call", () => {
  it("one that has no way keeps back no other", async () => {
    const place = { interface: "lo", address: "127.0.0.1", port: 0, transport: "udp", whenTaken: "" } as const;
    const fd = openDeviceSocket(place);
    const { port } = await bound("127.0.0.1");
    const client = await bound("127.0.0.1");
    const to = (a: number, b: number, at: number) => {
      const name = Buffer.from([2, 0, at >> 8, at & 255, a, 0, 0, b, 0, 0, 0, 0, 0, 0, 0, 0]);
      return { address: "", port: at, name };
    };
    // 255.0.0.255 is no address to send to; 0 is no port.
    const peers = [to(255, 255, port), to(127, 1, client.port), to(127, 1, 0), to(127, 1, client.port)];
    const outgoing = peers.map((peer, index) => ({ bytes: Buffer.from(`a${index}`), peer }));
    expect(new DatagramBatch().send(fd, outgoing)).toBe(4);
    await until(() => client.heard.length === 2);
    expect(client.heard).toEqual(["a1", "a3"]);
  });
});
