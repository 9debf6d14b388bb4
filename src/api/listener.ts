import { chmodSync, lstatSync, mkdirSync, unlinkSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import { type AddressInfo, connect } from "node:net";
import { dirname } from "node:path";
import { PortreeveError } from "../lib/errors.ts";
import type { Door } from "./access.ts";
import { createApp } from "./app.ts";
import { Accounts } from "./auth/accounts.ts";
import { FirstToken } from "./auth/first-token.ts";
import type { ScryptCost } from "./auth/password-hash.ts";
import { linkUrl } from "./auth/one-time-links.ts";
import { SIGN_IN_PAGE } from "./auth/sign-in-page.ts";
import { limitConnections, limitEachAddress, SERVER_LIMITS, TLS_LIMITS } from "./connection-limits.ts";
import type { ApiDeps } from "./deps.ts";
import { HostNames, literal } from "./host-names.ts";
import type { ServerIdentity, TlsSetting } from "./tls/identity.ts";
import { servedNames, serverIdentity } from "./tls/server-identity.ts";

export interface ApiOptions {
  readonly socketPath: string;
  /** Null: the socket only. */
  readonly listen: { readonly host: string; readonly port: number } | null;
  /** Where the bearer token of the TCP listener is kept until there is an account; made if missing. */
  readonly tokenFile: string;
  /** Default: what today's machines need. */
  readonly passwordCost?: ScryptCost;
  readonly tls?: TlsSetting;
  /** Names besides its addresses that the TCP listener answers to. */
  readonly hosts?: readonly string[];
  /** Addresses the gateway has for others, besides those of its interfaces. */
  readonly external?: () => readonly string[];
}

export interface OpenApi {
  /** "127.0.0.1:8351", with the port that port 0 became; null without a TCP listener. */
  readonly address: string | null;
  /** Of the authority that signed the listener's certificate. */
  readonly caFingerprint: string | null;
  /** Where the first token is, while it counts. */
  readonly tokenFile: string | null;
  /** A one-time link, if nobody can sign in yet and none was given out. */
  firstLink(): Promise<{ readonly url: string; readonly expiresAt: number } | null>;
  /** Ends streams, lets answers under way finish for a moment, closes. */
  close(): Promise<void>;
}

const CLOSE_MAX_MS = 2000;
/** Ends of sessions and tokens, new addresses and new certificates are looked for this often. */
const CARE_MS = 15_000;

type Route = (request: IncomingMessage, response: ServerResponse) => void;

/** What the TCP listener adds once it is bound. */
interface Tcp {
  readonly server: Server;
  readonly tls: TlsServer | null;
  readonly identity: ServerIdentity | null;
  readonly names: HostNames;
  readonly address: string;
}

/** Listens on the Unix socket and, if asked to, on TCP. */
export async function openApi(deps: ApiDeps, options: ApiOptions): Promise<OpenApi> {
  const fromSocket = new WeakSet<IncomingMessage>();
  const firstToken = new FirstToken(options.tokenFile);
  const accounts = new Accounts(deps, options.passwordCost);
  let tcp: Tcp | null = null;
  const door: Door = {
    cameBySocket: (raw) => fromSocket.has(raw),
    get names() {
      return tcp?.names ?? null;
    },
    secure: (options.tls ?? "off") !== "off",
    get authority() {
      return tcp?.identity?.authority ?? null;
    },
    accounts,
    firstToken,
  };
  const app = await createApp(deps, door);
  const route: Route = (request, response) => app.routing(request, response);
  const bySocket = createServer(SERVER_LIMITS, (request, response) => {
    fromSocket.add(request);
    route(request, response);
  });
  const servers: Server[] = [limitConnections(bySocket)];
  try {
    await listenOnSocket(bySocket, options.socketPath);
    if (options.listen !== null) {
      if (accounts.exist) firstToken.remove();
      else firstToken.ensure();
      tcp = await openTcp(deps, options, options.listen, route);
      if (tcp !== null) servers.push(tcp.server);
    }
  } catch (cause) {
    await closeAll(servers, app);
    throw cause;
  }
  const care = new Care(deps, accounts, firstToken, tcp);
  return {
    address: tcp?.address ?? null,
    caFingerprint: tcp?.identity?.authority?.fingerprint ?? null,
    get tokenFile() {
      return options.listen === null || accounts.exist ? null : options.tokenFile;
    },
    async firstLink() {
      const { link } = deps.controller.state.access;
      if (tcp === null || accounts.exist || (link !== null && link.expiresAt > deps.clock.now())) return null;
      const { token, expiresAt } = await accounts.issueLink("controller");
      return { url: linkUrl(tcp.names, SIGN_IN_PAGE, token), expiresAt };
    },
    close: async () => {
      care.close();
      await closeAll(servers, app);
    },
  };
}

/** Null: safe mode, and a certificate authority would have to be made first. */
async function openTcp(
  deps: ApiDeps,
  { tls = "off", hosts = [], external = () => [] }: ApiOptions,
  { host, port: wanted }: { readonly host: string; readonly port: number },
  route: Route,
): Promise<Tcp | null> {
  let identity: ServerIdentity | null = null;
  if (tls !== "off") {
    try {
      identity = await serverIdentity(deps, { tls, names: () => servedNames(host, hosts, external()) });
    } catch (cause) {
      if (!(cause instanceof PortreeveError) || cause.code !== "NOT_READY") throw cause;
      deps.log.warn(
        { err: cause },
        "the API does not listen on TCP: nothing can be logged, and a certificate is needed",
      );
      return null;
    }
  }
  const byTls =
    identity === null ? null : createTlsServer({ ...SERVER_LIMITS, ...TLS_LIMITS, ...identity.shown }, route);
  const server = limitConnections<Server>(byTls ?? createServer(SERVER_LIMITS, route));
  limitEachAddress(server);
  const port = await listenOnTcp(server, host, wanted);
  const scheme = byTls === null ? "http" : "https";
  const names = new HostNames({ scheme, listenHost: host, port, configured: hosts, external });
  return { server, tls: byTls, identity, names, address: `${literal(host)}:${port}` };
}

/** What changes while it listens: accounts begin, sessions end, certificates are renewed without dropping a connection. */
class Care {
  readonly #timer: NodeJS.Timeout;
  readonly #subscription: { close(): void };

  constructor(deps: ApiDeps, accounts: Accounts, firstToken: FirstToken, tcp: Tcp | null) {
    let { tokens } = deps.controller.state.access;
    this.#subscription = deps.controller.subscribe(({ access }) => {
      if (accounts.exist && !firstToken.ended.aborted) firstToken.remove();
      // Also one that an undo took back.
      if (access.tokens !== tokens) accounts.sweep();
      tokens = access.tokens;
    });
    const renew = async (): Promise<void> => {
      const shown = (await tcp?.identity?.renew()) ?? null;
      if (shown !== null) tcp?.tls?.setSecureContext(shown);
    };
    this.#timer = setInterval(() => {
      accounts.sweep();
      renew().catch((cause: unknown) => {
        deps.log.warn({ err: cause }, "the certificate of the API could not be renewed");
      });
    }, CARE_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#subscription.close();
  }
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
