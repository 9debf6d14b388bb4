import { createServer, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, expect, it } from "vitest";
import { answerInTurn } from "../../../src/lib/requests-in-turn.ts";

const open: { server: Server; sockets: Socket[] }[] = [];
afterEach(() => {
  for (const { server, sockets } of open.splice(0)) {
    for (const socket of sockets) socket.destroy();
    server.closeAllConnections();
    server.close();
  }
});

type Answer = (path: string, response: ServerResponse, body: string) => void;

interface Rig {
  /** Paths and bodies, as they came. */
  readonly asked: string[];
  /** The most that were under way at once. */
  most(): number;
  dial(): Promise<Client>;
}

interface Client {
  readonly socket: Socket;
  readonly said: () => string;
  readonly closed: Promise<void>;
}

async function listen(once: boolean, answer: Answer): Promise<Rig> {
  const asked: string[] = [];
  let [under, most] = [0, 0];
  const server = createServer((request, response) => {
    under += 1;
    most = Math.max(most, under);
    response.once("close", () => (under -= 1));
    let body = "";
    request.setEncoding("utf8").on("data", (piece: string) => (body += piece));
    request.once("end", () => {
      asked.push(`${request.url}${body}`);
      answer(request.url ?? "", response, body);
    });
  });
  if (once) server.maxRequestsPerSocket = 1;
  answerInTurn(server, { once });
  const entry = { server, sockets: [] as Socket[] };
  open.push(entry);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const dial = async (): Promise<Client> => {
    const socket = connect({ host: "127.0.0.1", port });
    entry.sockets.push(socket);
    let text = "";
    socket.setEncoding("utf8").on("data", (piece: string) => (text += piece));
    socket.on("error", () => undefined);
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
    return { socket, said: () => text, closed };
  };
  return { asked, most: () => most, dial };
}

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
const post = (path: string, body: string): string =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const chunked = (path: string, body: string): string =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
const soon: Answer = (path, response) => void setImmediate(() => response.end(path));

const MIXED = Array.from({ length: 100 }, (_, count) => {
  const path = `/${count}`;
  if (count % 4 === 1) return { text: post(path, "\r\n\r\n{}"), asked: `${path}\r\n\r\n{}` };
  if (count % 4 === 2) return { text: chunked(path, "x".repeat(count)), asked: `${path}${"x".repeat(count)}` };
  return { text: get(path), asked: path };
});

it("takes the requests of a connection in their order, two under way at most, however they arrive", async () => {
  for (const size of [1, 7, 19, 1000, Number.MAX_SAFE_INTEGER]) {
    const rig = await listen(false, soon);
    const { socket, said } = await rig.dial();
    const text = MIXED.map((each) => each.text).join("");
    for (let at = 0; at < text.length; at += size) socket.write(text.slice(at, at + size));
    await expect.poll(() => said().match(/HTTP\/1.1 200/g)?.length, { timeout: 10_000 }).toBe(MIXED.length);
    expect(rig.asked).toEqual(MIXED.map((each) => each.asked));
    expect(rig.most(), `in pieces of ${size}`).toBeLessThanOrEqual(2);
  }
});

it("answers another connection while thousands of requests wait on one, that are answered at once", async () => {
  const rig = await listen(false, (path, response) => void response.end(path));
  const [many, one] = [await rig.dial(), await rig.dial()];
  many.socket.write(get("/many").repeat(5000));
  await expect.poll(() => rig.asked.length).toBeGreaterThan(0);
  one.socket.write(get("/one"));
  await expect.poll(() => one.said()).toContain("/one");
  expect(rig.asked.indexOf("/one")).toBeLessThan(2000);
  await expect.poll(() => rig.asked.length, { timeout: 10_000 }).toBe(5001);
});

it("sees that a client went away while its request is under way", async () => {
  let closed = false;
  const rig = await listen(false, (_path, response) => void response.once("close", () => (closed = true)));
  const { socket } = await rig.dial();
  socket.write(get("/"));
  await expect.poll(() => rig.asked.length).toBe(1);
  socket.destroy();
  await expect.poll(() => closed).toBe(true);
});

it("carries on with what was held back when the answer is there", async () => {
  const answers: ServerResponse[] = [];
  const rig = await listen(false, (_path, response) => void answers.push(response));
  const { socket, said } = await rig.dial();
  socket.write(get("/1") + get("/2"));
  await expect.poll(() => rig.asked).toEqual(["/1"]);
  socket.write(get("/3"));
  answers[0]?.end("one");
  await expect.poll(() => rig.asked).toEqual(["/1", "/2"]);
  answers[1]?.end("two");
  await expect.poll(() => rig.asked).toEqual(["/1", "/2", "/3"]);
  answers[2]?.end("three");
  await expect.poll(said).toContain("three");
});

it("once: one request, and nothing of what is behind it", async () => {
  for (const first of [get("/"), post("/", "{}"), chunked("/", "{}")]) {
    const rig = await listen(true, (_path, response) => {
      response.setHeader("Connection", "close");
      setImmediate(() => response.end("the answer"));
    });
    const { socket, said, closed } = await rig.dial();
    socket.write(first + get("/2").repeat(3000));
    await closed;
    expect(rig.asked).toHaveLength(1);
    expect(said().match(/HTTP\/1.1/g)).toHaveLength(1);
  }
});
