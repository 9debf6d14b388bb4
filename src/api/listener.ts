import { chmodSync, lstatSync, mkdirSync, unlinkSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { dirname } from "node:path";
import { PortreeveError } from "../lib/errors.ts";
import { type Door, loopbackHosts } from "./access.ts";
import { createApp } from "./app.ts";
import type { ApiDeps } from "./deps.ts";
import { ensureToken } from "./token.ts";

export interface ApiOptions {
  readonly socketPath: string;
  /** Null: the socket only. */
  readonly listen: { readonly host: string; readonly port: number } | null;
  /** Where the bearer token of the TCP listener is kept; made if missing. */
  readonly tokenFile: string;
}

export interface OpenApi {
  /** "127.0.0.1:8351", with the port that port 0 became; null without a TCP listener. */
  readonly address: string | null;
  /** Ends streams, lets answers under way finish for a moment, closes. */
  close(): Promise<void>;
}

/** A request's headers and body have to be here within these; an honest local client needs milliseconds. */
const HEADERS_MAX_MS = 5000;
const REQUEST_MAX_MS = 10_000;
const KEEP_ALIVE_MS = 5000;
const CONNECTIONS_MAX = 256;
/** A connection may ask before it has its answers; so many are under way on one at most, then it is closed. */
const REQUESTS_PER_CONNECTION_MAX = 256;
const CLOSE_MAX_MS = 2000;

/** Listens on the Unix socket and, if asked to, on TCP. */
export async function openApi(deps: ApiDeps, options: ApiOptions): Promise<OpenApi> {
  const fromSocket = new WeakSet<IncomingMessage>();
  const hosts = new Set<string>();
  const token = options.listen === null ? null : ensureToken(options.tokenFile);
  const door: Door = { cameBySocket: (raw) => fromSocket.has(raw), hosts, token };
  const app = await createApp(deps, door);
  const route = (request: IncomingMessage, response: ServerResponse): void => app.routing(request, response);
  const bySocket = makeServer((request, response) => {
    fromSocket.add(request);
    route(request, response);
  });
  const servers = [bySocket];
  let address: string | null = null;
  try {
    await listenOnSocket(bySocket, options.socketPath);
    if (options.listen !== null) {
      const byTcp = makeServer(route);
      servers.push(byTcp);
      const { host } = options.listen;
      const port = await listenOnTcp(byTcp, host, options.listen.port);
      for (const name of loopbackHosts(host, port)) hosts.add(name);
      address = `${host.includes(":") ? `[${host}]` : host}:${port}`;
    }
  } catch (cause) {
    await closeAll(servers, app);
    throw cause;
  }
  return { address, close: () => closeAll(servers, app) };
}

function makeServer(route: (request: IncomingMessage, response: ServerResponse) => void): Server {
  const server = createServer(
    {
      headersTimeout: HEADERS_MAX_MS,
      requestTimeout: REQUEST_MAX_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: 1000,
      maxHeaderSize: 16 * 1024,
    },
    route,
  );
  server.maxConnections = CONNECTIONS_MAX;
  server.maxRequestsPerSocket = REQUESTS_PER_CONNECTION_MAX;
  return server;
}

function listening(server: Server, listen: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      resolve();
    });
    listen();
  });
}

async function listenOnTcp(server: Server, host: string, port: number): Promise<number> {
  try {
    await listening(server, () => server.listen({ host, port }));
  } catch (cause) {
    const message = `the API cannot listen on ${host}:${port} (${(cause as NodeJS.ErrnoException).code}); set api.listen to a free port, or to null`;
    throw new PortreeveError("UNAVAILABLE", message, "terminal", { cause });
  }
  return (server.address() as AddressInfo).port;
}

/** The file mode is the access control: there is no instant at which others could connect. */
async function listenOnSocket(server: Server, path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  await removeStale(path);
  try {
    await listening(server, () => {
      // The file is made within this call.
      const before = process.umask(0o117);
      server.listen(path);
      process.umask(before);
    });
  } catch (cause) {
    const message = `the API cannot listen on ${path} (${(cause as NodeJS.ErrnoException).code})`;
    throw new PortreeveError("UNAVAILABLE", message, "terminal", { cause });
  }
  chmodSync(path, 0o660);
}

/** A socket file that a killed process left behind goes; one that somebody answers on, and any other file, stays. */
async function removeStale(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) throw new PortreeveError("UNAVAILABLE", `${path} is there and is not a socket`, "terminal");
  if (await answers(path)) {
    const message = `another Portreeve already answers on ${path}; stop that one first, or give this one another runtimeDir`;
    throw new PortreeveError("FOREIGN_INSTANCE", message, "fatal");
  }
  unlinkSync(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    // ECONNREFUSED is the only proof that nobody holds it; EACCES or a full backlog is not.
    probe.once("error", (cause: NodeJS.ErrnoException) => resolve(cause.code !== "ECONNREFUSED"));
  });
}

async function closeAll(servers: readonly Server[], app: { close(): Promise<unknown> }): Promise<void> {
  const closed = servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
  // Ends the event streams; what else is under way gets a moment.
  await app.close();
  const force = setTimeout(() => {
    for (const server of servers) server.closeAllConnections();
  }, CLOSE_MAX_MS);
  for (const server of servers) server.closeIdleConnections();
  await Promise.all(closed);
  clearTimeout(force);
}
