import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as tlsConnect } from "node:tls";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ApiOptions, type OpenApi, openApi } from "../../../src/api/listener.ts";
import { send } from "./http-client.ts";
import { CHEAP, makeRig, type Rig } from "./rig.ts";

let folder: string;
let rig: Rig;
let api: OpenApi;
let port: number;
const open: Socket[] = [];
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "portreeve-abuse-"));
  rig = await makeRig();
});
afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy();
  await api.close();
  rmSync(folder, { recursive: true, force: true });
});

const socketPath = () => join(folder, "portreeve.sock");

async function listen(options: Partial<ApiOptions> = {}): Promise<void> {
  // Certificates are for the clock of who checks them.
  const deps = { ...rig.deps, wallClock: Date.now };
  api = await openApi(deps, {
    socketPath: socketPath(),
    listen: { host: "127.0.0.1", port: 0 },
    tokenFile: join(folder, "api-token"),
    passwordCost: CHEAP,
    ...options,
  });
  port = Number(api.address?.split(":").at(-1));
}

/** A connection from one of loopback's addresses. */
function dial(from = "127.0.0.1"): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, localAddress: from });
    open.push(socket);
    socket.once("connect", () => resolve(socket));
    socket.once("error", reject);
  });
}

/** Everything that comes until the other side closes. */
function untilClosed(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    socket.on("data", (data) => {
      text += data.toString();
    });
    socket.on("error", () => {});
    socket.once("close", () => resolve(text));
  });
}

describe("connections that want to hold us up", () => {
  it("[A3] are closed when their headers, or their body, do not come", async () => {
    await listen();
    const [headers, body, silent] = [await dial(), await dial(), await dial()];
    headers.write("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ");
    body.write(
      `POST /api/v1/sessions HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
    );
    const [first, second, third] = await Promise.all([untilClosed(headers), untilClosed(body), untilClosed(silent)]);
    expect(first).toContain("408");
    expect(second).toContain("408");
    expect(third === "" || third.includes("408")).toBe(true);
  });

  it("[A3] over TLS are closed when they do not shake hands", async () => {
    await listen({ tls: "own-ca" });
    await untilClosed(await dial());
    expect((await send({ port, insecure: true }, "/healthz")).status).toBe(200);
  });

  it("[A3] are 64 of an address at most, so that another address gets in", async () => {
    await listen();
    const held: Socket[] = [];
    for (let count = 0; count < 64; count += 1) held.push(await dial("127.0.0.2"));
    expect(await untilClosed(await dial("127.0.0.2")), "the 65th").toBe("");
    expect((await send({ port }, "/healthz", { from: "127.0.0.3" })).status).toBe(200);
    held[0]?.destroy();
    await expect
      .poll(async () => (await send({ port }, "/healthz", { from: "127.0.0.2" }).catch(() => null))?.status)
      .toBe(200);
  });

  it("[A3] are 256 in all; the Unix socket answers whatever stands there", async () => {
    await listen();
    for (const from of ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"]) {
      for (let count = 0; count < 64; count += 1) await dial(from);
    }
    await untilClosed(await dial("127.0.0.6"));
    expect((await send({ socketPath: socketPath() }, "/healthz")).status).toBe(200);
    for (const socket of open.splice(0)) socket.destroy();
    await expect.poll(async () => (await send({ port }, "/healthz").catch(() => null))?.status).toBe(200);
  });

  it("[A3] get 431 for more than 8 KiB of headers, and 413 for more than 64 KiB of body", async () => {
    await listen();
    expect((await send({ port }, "/healthz", { headers: { "x-long": "a".repeat(9000) } })).status).toBe(431);
    const body = { password: "x".repeat(65 * 1024) };
    expect((await send({ port }, "/api/v1/sessions", { method: "POST", body })).status).toBe(413);
  });

  it("[A3] that ask hundreds of times without waiting for answers keep nobody else waiting", async () => {
    await listen();
    const text = `GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`;
    const many = await Promise.all(Array.from({ length: 8 }, () => dial("127.0.0.2")));
    const one = await dial("127.0.0.3");
    const answers = (said: string): number => said.match(/HTTP\/1.1 200/g)?.length ?? 0;
    let all = 0;
    for (const socket of many) {
      socket.on("data", (piece) => (all += answers(piece.toString("latin1"))));
      socket.on("error", () => {});
      socket.write(text.repeat(250));
    }
    await expect.poll(() => all, { interval: 1 }).toBeGreaterThan(0);
    one.write(text);
    const before = await new Promise((resolve) => one.once("data", () => resolve(all)));
    expect(before).toBeLessThan(400);
    await expect.poll(() => all, { timeout: 15_000 }).toBe(8 * 250);
  });

  it("[A3] get nothing for two lengths, or a length and chunks (request smuggling)", async () => {
    await listen();
    for (const framing of [
      "Content-Length: 2\r\nContent-Length: 3",
      "Content-Length: 2\r\nTransfer-Encoding: chunked",
    ]) {
      const socket = await dial();
      socket.write(
        `POST /api/v1/sessions HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\n${framing}\r\n\r\n{}`,
      );
      expect(await untilClosed(socket), framing).toContain(" 400 ");
    }
  });
  it("[A3] get nothing for two hosts, or one in the line of the request", async () => {
    await listen();
    const host = `Host: 127.0.0.1:${port}\r\n`;
    for (const head of [
      `GET /healthz HTTP/1.1\r\n${host}Host: evil.example\r\n`,
      `GET /healthz HTTP/1.1\r\n${host}${host}`,
      `GET http://evil.example/healthz HTTP/1.1\r\n${host}`,
      `GET http://127.0.0.1:${port}/healthz HTTP/1.1\r\n${host}`,
    ]) {
      const socket = await dial();
      socket.write(`${head}Connection: close\r\n\r\n`);
      expect(await untilClosed(socket), head).toContain(" 400 ");
    }
  });
});

describe("TLS of our own", () => {
  it("[A10] is good for who trusts the authority that is downloaded, and keeps it over restarts", async () => {
    await listen({ tls: "own-ca", hosts: ["gw.example.org"] });
    const ca = await send({ port, insecure: true }, "/api/v1/ca.pem");
    expect(ca.headers["strict-transport-security"]).toContain("max-age");
    const trusted = await send({ port, ca: ca.text }, "/healthz");
    expect(trusted.status).toBe(200);
    const { X509Certificate } = await import("node:crypto");
    expect(api.caFingerprint).toBe(new X509Certificate(ca.text).fingerprint256);
    await expect(send({ port, ca: new X509Certificate(ca.text).toString() }, "/healthz")).resolves.toBeDefined();
    const events = await send({ socketPath: socketPath() }, "/api/v1/events/export");
    expect(events.text).toContain("authority.created");
    expect(events.text).not.toContain("PRIVATE KEY");
    await api.close();
    await listen({ tls: "own-ca", hosts: ["gw.example.org"] });
    expect((await send({ port, ca: ca.text }, "/healthz")).status, "the same authority").toBe(200);
    expect((await api.firstLink())?.url).toMatch(/^https:\/\/gw\.example\.org:/);
  });

  it("[A10] is not spoken below TLS 1.2, and the cookie is for TLS only", async () => {
    await listen({ tls: "own-ca" });
    const old = tlsConnect({
      port,
      host: "127.0.0.1",
      rejectUnauthorized: false,
      minVersion: "TLSv1",
      maxVersion: "TLSv1.1",
    });
    await expect(
      new Promise((resolve, reject) => old.once("secureConnect", resolve).once("error", reject)),
    ).rejects.toThrow();
    const token = (await api.firstLink())?.url.split("#")[1];
    const body = { token, password: "a good long password" };
    const done = await send({ port, insecure: true }, "/api/v1/sign-in-link/redeem", { method: "POST", body });
    expect(String(done.headers["set-cookie"])).toMatch(
      /^__Host-portreeve=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Secure$/,
    );
  });

  it("[A10] leaves TCP closed in safe mode where an authority would have to be logged first", async () => {
    rig.controller.enter("safe");
    await listen({ tls: "own-ca" });
    expect(api.address).toBeNull();
    expect((await send({ socketPath: socketPath() }, "/healthz")).status).toBe(200);
  });
});
