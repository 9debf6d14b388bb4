import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type OpenApi, openApi } from "../../../src/api/listener.ts";
import { makeRig, type Rig, WEB } from "./rig.ts";

let folder: string;
let rig: Rig;
let api: OpenApi | null = null;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "portreeve-api-"));
  rig = await makeRig();
});
afterEach(async () => {
  await api?.close();
  api = null;
  rmSync(folder, { recursive: true, force: true });
});

const socketPath = () => join(folder, "run", "portreeve.sock");
const tokenFile = () => join(folder, "api-token");

async function open(listen: { host: string; port: number } | null = { host: "127.0.0.1", port: 0 }): Promise<OpenApi> {
  api = await openApi(rig.deps, { socketPath: socketPath(), listen, tokenFile: tokenFile() });
  return api;
}

interface Sent {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

function send(
  place: { socketPath: string } | { port: number },
  sent: Sent = {},
): Promise<{ status: number; text: string }> {
  const { method = "GET", path = "/api/v1/status", headers = {}, body } = sent;
  return new Promise((resolve, reject) => {
    const call = request({ host: "127.0.0.1", ...place, method, path, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    call.on("error", reject);
    call.end(body);
  });
}

const bySocket = (sent?: Sent) => send({ socketPath: socketPath() }, sent);
const portOf = ({ address }: OpenApi): number => Number(address?.split(":").at(-1));

describe("the Unix socket", () => {
  it("[A3] needs no login, and only its owner and group may use it", async () => {
    await open(null);
    expect(statSync(socketPath()).mode & 0o777).toBe(0o660);
    expect((await bySocket()).status).toBe(200);
    expect(existsSync(tokenFile()), "without a TCP listener there is no token").toBe(false);
  });

  it("takes over what a killed process left, and nothing that is alive or no socket", async () => {
    const stale = `require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))`;
    execFileSync("mkdir", ["-p", join(folder, "run")]);
    expect(() => execFileSync(process.execPath, ["-e", stale, socketPath()])).toThrow();
    expect(existsSync(socketPath())).toBe(true);
    await open(null);
    await expect(openApi(rig.deps, { socketPath: socketPath(), listen: null, tokenFile: "" })).rejects.toMatchObject({
      code: "FOREIGN_INSTANCE",
    });
    expect((await bySocket()).status, "the first one still answers").toBe(200);
    const file = join(folder, "file");
    writeFileSync(file, "precious");
    await expect(openApi(rig.deps, { socketPath: file, listen: null, tokenFile: "" })).rejects.toMatchObject({
      code: "UNAVAILABLE",
    });
    expect(readFileSync(file, "utf8")).toBe("precious");
  });

  it("refuses a page of another origin", async () => {
    await open(null);
    expect((await bySocket({ headers: { origin: "http://evil.example" } })).status).toBe(403);
  });

  it("refuses a body over 64 KiB", async () => {
    await open(null);
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ ...WEB, label: "x".repeat(65 * 1024) });
    const { status, text } = await bySocket({ method: "POST", path: "/api/v1/ports", headers, body });
    expect(status).toBe(413);
    expect(JSON.parse(text)).toMatchObject({ code: "INVALID_REQUEST" });
  });
});

describe("the TCP listener", () => {
  it("[A3] wants the token, which only its owner may read and which stays the same", async () => {
    const port = portOf(await open());
    const token = readFileSync(tokenFile(), "utf8").trim();
    expect(statSync(tokenFile()).mode & 0o777).toBe(0o600);
    const ask = (authorization?: string) =>
      send({ port }, { headers: authorization === undefined ? {} : { authorization } });
    expect((await ask()).status).toBe(401);
    expect((await ask(`Bearer ${token.slice(1)}`)).status).toBe(401);
    expect((await ask(`Bearer ${token}`)).status).toBe(200);
    await api?.close();
    await open();
    expect(readFileSync(tokenFile(), "utf8").trim()).toBe(token);
  });

  it("lets probes and readers of the documentation in without it, and nobody else", async () => {
    const port = portOf(await open());
    for (const path of ["/healthz", "/readyz", "/openapi.json", "/docs"])
      expect((await send({ port }, { path })).status, path).toBe(200);
    for (const path of ["/metrics", "/api/v1/ports", "/api/v1/events/stream", "/nothing"]) {
      expect((await send({ port }, { path })).status, path).toBe(401);
    }
  });

  it("[A3] answers to its own names only (DNS rebinding), token or not", async () => {
    const port = portOf(await open());
    const authorization = `Bearer ${readFileSync(tokenFile(), "utf8").trim()}`;
    const ask = async (host: string, path = "/api/v1/status") =>
      (await send({ port }, { path, headers: { host, authorization } })).status;
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`])
      expect(await ask(host), host).toBe(200);
    for (const host of [`evil.example:${port}`, "localhost", `127.0.0.1:${port + 1}`, "127.0.0.1"]) {
      expect(await ask(host), host).toBe(421);
      expect(await ask(host, "/healthz"), host).toBe(421);
    }
  });

  it("[A3] refuses requests of another origin, also with the token", async () => {
    const port = portOf(await open());
    const authorization = `Bearer ${readFileSync(tokenFile(), "utf8").trim()}`;
    const ask = async (origin: string) => (await send({ port }, { headers: { origin, authorization } })).status;
    expect(await ask(`http://localhost:${port}`)).toBe(200);
    for (const origin of [
      "http://evil.example",
      `https://localhost:${port}`,
      "null",
      `http://localhost:${port}.evil.example`,
    ]) {
      expect(await ask(origin), origin).toBe(403);
    }
  });

  it("says who else has its port, and leaves no socket behind", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as { port: number };
    await expect(open({ host: "127.0.0.1", port })).rejects.toThrow(/set api\.listen to a free port/);
    expect(existsSync(socketPath())).toBe(false);
    await new Promise((resolve) => other.close(resolve));
  });

  it("refuses a token file that holds something else", async () => {
    writeFileSync(tokenFile(), "hunter2");
    await expect(open()).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });
});

describe("closing", () => {
  it("ends open streams and idle connections at once", async () => {
    await open();
    const stream = new Promise<void>((resolve, reject) => {
      const call = request({
        socketPath: socketPath(),
        path: "/api/v1/events/stream",
        headers: { connection: "keep-alive" },
      });
      call.on("response", (response) => response.resume().on("close", resolve));
      call.on("error", reject).end();
    });
    await bySocket({ headers: { connection: "keep-alive" } });
    const before = performance.now();
    await api?.close();
    await stream;
    expect(performance.now() - before).toBeLessThan(1000);
    expect(existsSync(socketPath())).toBe(false);
  });
});
