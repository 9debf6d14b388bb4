import { once } from "node:events";
import { createSecureServer, type Http2SecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { describe, expect, it, onTestFinished } from "vitest";
import { makeAuthority, makeLeaf } from "../../../../../src/api/tls/certificate.ts";
import { forwardingTo, upstreamThat } from "./forwarding.ts";
import { a, AD, answerTo, query } from "./messages.ts";

const WWW = a("www.example.com", "93.184.216.34");
const ANSWER = { rcode: 0, answers: ["www.example.com 300 A 93.184.216.34"] };
const AUTHORITY = makeAuthority("Test", Date.now());
const STRANGER = makeAuthority("Stranger", Date.now());
const NAME = "dns.example.net";

describe("an upstream without EDNS", () => {
  const hasOpt = (bytes: Buffer): boolean => bytes.readUInt16BE(10) > 0;

  it.each([
    ["FORMERR with the question", (bytes: Buffer) => answerTo(bytes, { rcode: 1 })],
    ["NOTIMP", (bytes: Buffer) => answerTo(bytes, { rcode: 4 })],
    [
      "a bare header with FORMERR",
      (bytes: Buffer) => Buffer.from([bytes[0] as number, bytes[1] as number, 0x80, 0x81, 0, 0, 0, 0, 0, 0, 0, 0]),
    ],
  ])("[F3] that says so by %s is asked again without, and from then on", async (_, refusal) => {
    const upstream = await upstreamThat((bytes) =>
      hasOpt(bytes) ? refusal(bytes) : answerTo(bytes, { answers: [WWW] }),
    );
    const { ask, clock } = forwardingTo([upstream.text]);
    // The client may use EDNS with us all the same.
    expect(await ask("www.example.com")).toMatchObject({ ...ANSWER, edns: true });
    await ask("other.example.com");
    expect(upstream.queries.map(({ bytes }) => hasOpt(bytes))).toEqual([true, false, false]);
    clock.advance(3_600_000);
    await ask("third.example.com");
    expect(hasOpt(upstream.queries[3]?.bytes as Buffer)).toBe(true);
  });

  it("[F3] a FORMERR that has nothing to do with EDNS is not held against it", async () => {
    const upstream = await upstreamThat((bytes) => answerTo(bytes, { rcode: 1 }));
    const { ask } = forwardingTo([upstream.text]);
    expect(await ask("www.example.com")).toMatchObject({ rcode: 1 });
    await ask("other.example.com");
    expect(upstream.queries.map(({ bytes }) => hasOpt(bytes))).toEqual([true, false, true, false]);
  });
});

describe("TCP", () => {
  it("[F4] one connection takes many questions, answers come in any order", async () => {
    const held: { readonly bytes: Buffer; readonly port: number }[] = [];
    const upstream = await upstreamThat((bytes, { transport, port }) => {
      if (transport === "udp") return answerTo(bytes, { flags: 0x0200 });
      held.push({ bytes, port });
      return held.length < 5 ? [] : held.toReversed().map((each) => answerTo(each.bytes, { rcode: 3 }));
    });
    const { ask } = forwardingTo([upstream.text]);
    const told = await Promise.all([0, 1, 2, 3, 4].map((index) => ask(`n${index}.example.com`)));
    expect(told.map(({ question, rcode }) => `${question} ${rcode}`)).toEqual(
      [0, 1, 2, 3, 4].map((index) => `n${index}.example.com 3`),
    );
    expect(upstream.connectionsMade).toBe(1);
  });

  it("[F4] a connection that was good and is closed on the question is made anew, once", async () => {
    let answers = 0;
    const upstream = await upstreamThat((bytes, { transport }) => {
      if (transport === "udp") return answerTo(bytes, { flags: 0x0200 });
      answers += 1;
      if (answers !== 2) return answerTo(bytes, { rcode: 3 });
      for (const socket of upstream.connections) socket.destroy();
      return null;
    });
    const { ask } = forwardingTo([upstream.text]);
    await ask("first.example.com");
    expect(await ask("second.example.com")).toMatchObject({ rcode: 3 });
    expect(upstream.connectionsMade).toBe(2);
  });

  it("[F4] parts of a message are put together, octet by octet", async () => {
    const upstream = await upstreamThat((bytes, { transport }) => {
      if (transport === "udp") return answerTo(bytes, { flags: 0x0200 });
      const answer = answerTo(bytes, { answers: [WWW] });
      const framed = Buffer.concat([Buffer.from([answer.length >> 8, answer.length & 0xff]), answer]);
      for (const socket of upstream.connections) {
        socket.setNoDelay(true);
        for (const octet of framed) socket.write(Buffer.from([octet]));
      }
      return null;
    });
    const { ask } = forwardingTo([upstream.text]);
    expect(await ask("www.example.com")).toMatchObject(ANSWER);
  });
});

interface Encrypted {
  readonly port: number;
  readonly received: Buffer[];
}

/** DNS over TLS, for the name `certified`. */
async function tlsUpstream(certified: string, authority = AUTHORITY): Promise<Encrypted> {
  const leaf = makeLeaf(authority, [certified], Date.now());
  const received: Buffer[] = [];
  const sockets = new Set<TLSSocket>();
  const key = leaf.key.export({ type: "pkcs8", format: "pem" });
  const server = createTlsServer({ cert: leaf.certificate, key }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      received.push(chunk.subarray(2));
      const answer = answerTo(chunk.subarray(2), { answers: [WWW], flags: AD });
      socket.write(Buffer.concat([Buffer.from([answer.length >> 8, answer.length & 0xff]), answer]));
    });
  });
  server.on("tlsClientError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, received };
}

type Respond = (body: Buffer) => {
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly body: Buffer;
};

async function httpsUpstream(respond: Respond): Promise<Encrypted> {
  const leaf = makeLeaf(AUTHORITY, [NAME], Date.now());
  const received: Buffer[] = [];
  const key = leaf.key.export({ type: "pkcs8", format: "pem" });
  const server: Http2SecureServer = createSecureServer({ cert: leaf.certificate, key });
  server.on("stream", (stream, headers) => {
    const parts: Buffer[] = [];
    stream.on("error", () => undefined);
    stream.on("data", (part: Buffer) => void parts.push(part));
    stream.on("end", () => {
      const body = Buffer.concat(parts);
      received.push(body);
      const isQuestion = headers[":path"] === "/dns-query" && headers["content-type"] === "application/dns-message";
      const said = respond(body);
      stream.respond({ ":status": isQuestion ? 200 : 400, "content-type": "application/dns-message", ...said.headers });
      stream.end(said.body);
    });
  });
  const sessions = new Set<{ destroy(): void }>();
  server.on("session", (session) => sessions.add(session));
  server.on("sessionError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, received };
}

const trusting = { authorities: [AUTHORITY.certificate] };

describe("DNS over TLS", () => {
  it("[F11] is asked on one connection, without mixing case (F10), and its AD counts (F6)", async () => {
    const upstream = await tlsUpstream(NAME);
    const { ask } = forwardingTo([`tls://127.0.0.1:${upstream.port}#${NAME}`], trusting);
    const told = await ask("www.example.com", "A", { dnssecOk: true });
    expect(told).toMatchObject(ANSWER);
    expect(told.flags & AD).toBe(AD);
    expect(upstream.received[0]?.toString("latin1")).toContain("\u0003www\u0007example\u0003com");
    expect((upstream.received[0]?.readUInt16BE(2) ?? 0) & AD).toBe(AD);
    // Who did not ask for AD does not get it.
    expect((await ask("www.example.com")).flags & AD).toBe(0);
  });

  it("[F11] by address alone, where the certificate has the address", async () => {
    const upstream = await tlsUpstream("127.0.0.1");
    const { ask } = forwardingTo([`tls://127.0.0.1:${upstream.port}`], trusting);
    expect(await ask("www.example.com")).toMatchObject(ANSWER);
  });

  it.each([
    ["for another name", "other.example.net", AUTHORITY, "ERR_TLS_CERT_ALTNAME_INVALID"],
    ["by nobody we trust", NAME, STRANGER, "CERT|SELF_SIGNED|UNABLE"],
  ])(
    "[F11] a certificate %s gets no question, nor is it asked without TLS",
    async (_, certified, authority, reason) => {
      const upstream = await tlsUpstream(certified, authority);
      const { ask, passing, forwarder } = forwardingTo([`tls://127.0.0.1:${upstream.port}#${NAME}`], trusting);
      const asked = ask("www.example.com");
      await expect.poll(() => forwarder.status.upstreams[0]?.lastFailure).not.toBeNull();
      const told = await passing(asked);
      expect(told).toMatchObject({ rcode: 2, answers: [] });
      expect(told.errors[0]?.text).toMatch(new RegExp(reason));
      expect(upstream.received).toEqual([]);
    },
  );
});

describe("DNS over HTTPS", () => {
  it("[F11] is asked by POST over HTTP/2, with ID 0, and its Age counts", async () => {
    const upstream = await httpsUpstream((body) => ({
      body: answerTo(body, { answers: [WWW], flags: AD }),
      headers: { age: 100 },
    }));
    const { ask, clock } = forwardingTo([`https://${NAME}:${upstream.port}/dns-query#127.0.0.1`], trusting);
    expect(await ask("www.example.com", "A", { id: 99 })).toMatchObject({ ...ANSWER, id: 99 });
    expect(upstream.received[0]?.readUInt16BE(0)).toBe(0);
    clock.advance(201_000);
    await ask("www.example.com");
    expect(upstream.received).toHaveLength(2);
  });

  it.each<[string, Respond]>([
    ["another status", (body) => ({ body: answerTo(body, { answers: [WWW] }), headers: { ":status": 503 } })],
    [
      "another type",
      (body) => ({ body: answerTo(body, { answers: [WWW] }), headers: { "content-type": "text/html" } }),
    ],
    [
      "another question",
      () => ({ body: answerTo(Buffer.from(query("x.example.com", "A", { id: 0 })), { answers: [WWW] }) }),
    ],
    ["too much", () => ({ body: Buffer.alloc(70_000) })],
    ["nothing", () => ({ body: Buffer.alloc(0) })],
  ])("[F7] %s is no answer", async (_, respond) => {
    const upstream = await httpsUpstream(respond);
    const { ask, passing } = forwardingTo([`https://${NAME}:${upstream.port}/dns-query#127.0.0.1`], trusting);
    expect(await passing(ask("www.example.com"))).toMatchObject({ rcode: 2, answers: [] });
  });

  it("[F11] a certificate by nobody we trust gets no question, and the reason is said", async () => {
    const upstream = await httpsUpstream((body) => ({ body: answerTo(body, { answers: [WWW] }) }));
    const url = `https://${NAME}:${upstream.port}/dns-query#127.0.0.1`;
    const { ask, passing, forwarder } = forwardingTo([url], { authorities: [STRANGER.certificate] });
    const asked = ask("www.example.com");
    await expect.poll(() => forwarder.status.upstreams[0]?.lastFailure).not.toBeNull();
    const told = await passing(asked);
    expect(told).toMatchObject({ rcode: 2 });
    expect(told.errors[0]?.text).toMatch(/CERT|SELF_SIGNED|UNABLE/);
    expect(upstream.received).toEqual([]);
  });
});
