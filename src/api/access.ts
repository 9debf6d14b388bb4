import type { IncomingMessage } from "node:http";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Accounts } from "./auth/accounts.ts";
import { type Actor, firstTokenActor, LOCAL, sessionActor, STRANGER, tokenActor } from "./auth/actor.ts";
import { clientAddress } from "./auth/client-address.ts";
import type { FirstToken } from "./auth/first-token.ts";
import { includes, type Scope } from "./auth/scope.ts";
import { sessionCookie } from "./auth/session-cookie.ts";
import { type HostNames, isLoopback } from "./host-names.ts";
import { forbidden, RequestProblem, unauthenticated } from "./problem.ts";

/** How requests come in. On the Unix socket the file mode is the access control; on TCP it is the account. */
export interface Door {
  /** Requests that are not known to have come by the socket are treated as strangers. */
  cameBySocket(raw: IncomingMessage): boolean;
  /** Null while nothing listens on TCP. */
  readonly names: HostNames | null;
  /** TLS on TCP. */
  readonly secure: boolean;
  /** Of our own that has signed the listener's certificate; null if there is none. */
  readonly authority: { readonly certificate: string; readonly fingerprint: string } | null;
  readonly accounts: Accounts;
  readonly firstToken: FirstToken;
}

export interface RouteScope {
  readonly method: string;
  readonly url: string;
  readonly scope: Scope;
}

declare module "fastify" {
  interface FastifyInstance {
    /** Every route there is and who may use it. */
    routeScopes: readonly RouteScope[];
  }
}

const CHANGES = new Set(["POST", "PUT", "PATCH", "DELETE"]);
const BEARER = /^Bearer ([\x21-\x7e]{1,256})$/;

export function guardDoor(app: FastifyInstance, door: Door): void {
  app.decorateRequest("actor");
  const table: RouteScope[] = [];
  app.decorate("routeScopes", table);
  app.addHook("onRoute", ({ method, url, config }) => {
    if (config?.scope !== undefined) {
      for (const each of [method].flat()) table.push({ method: each, url, scope: config.scope });
      return;
    }
    const next = 'add `config: { scope: "read" }` ("open", "operate", "admin" or "local") to its options';
    throw new Error(`the route ${String(method)} ${url} does not say who may use it: ${next}`);
  });
  app.addHook("onRequest", async (request, reply) => {
    request.actor = STRANGER;
    const bySocket = door.cameBySocket(request.raw);
    checkPlace(request, door, bySocket);
    checkContent(request);
    request.actor = bySocket ? LOCAL : await identify(request, door);
    // A path that is no route tells strangers nothing.
    authorize(request.actor, request.is404 ? "read" : (request.routeOptions.config.scope as Scope), reply);
    endWith(request.actor, reply);
  });
}

/** Is it meant for us, and does it come from a page of ours, if from a page? */
function checkPlace(request: FastifyRequest, { names }: Door, bySocket: boolean): void {
  const { origin, host = "", "sec-fetch-site": site } = request.headers;
  const local = request.raw.socket.localAddress ?? "";
  // Which of several names counts is another question to each who reads them (RFC 9112 §3.2).
  if ((request.raw.headersDistinct?.["host"]?.length ?? 0) > 1 || !/^[/*]/.test(request.raw.url ?? "/")) {
    const message = "name the host once, in its header; a proxy's form of a request is not for us";
    throw new RequestProblem({ code: "INVALID_REQUEST", message });
  }
  if (!bySocket && names?.isOurs(host, local) !== true) {
    const message = `this is not ${host === "" ? "an unnamed host" : host}; use ${names?.url ?? "the socket"}`;
    throw new RequestProblem({ code: "INVALID_REQUEST", message }, 421);
  }
  if (origin !== undefined && names?.isOurOrigin(origin, local) !== true) {
    throw forbidden(`requests from ${origin} are not allowed`);
  }
  if (CHANGES.has(request.method) && site !== undefined && site !== "same-origin") {
    throw forbidden("requests that change something come from a page of ours or from no page");
  }
}

/** A form can send three content types without asking first (CORS-safelisted); ours is none of them. */
function checkContent({ method, headers }: FastifyRequest): void {
  if (!CHANGES.has(method)) return;
  const { "content-type": type, "content-length": length = "0", "transfer-encoding": coding } = headers;
  const hasBody = length !== "0" || coding !== undefined;
  if (type === undefined ? !hasBody : /^application\/json\s*(;|$)/i.test(type)) return;
  const message = `send JSON, with \`Content-Type: application/json\`${type === undefined ? "" : `, not ${type}`}`;
  throw new RequestProblem({ code: "INVALID_REQUEST", message }, 415);
}

async function identify(request: FastifyRequest, door: Door): Promise<Actor> {
  const { accounts, firstToken } = door;
  const address = clientAddress(request.raw);
  const { authorization } = request.headers;
  if (authorization !== undefined) {
    const given = BEARER.exec(authorization)?.[1];
    if (given === undefined) return STRANGER;
    const holder = await accounts.tokens.use(given);
    if (holder !== undefined) return tokenActor(holder.id, holder.scopes, holder.ended);
    const isFirst = !accounts.exist && isLoopback(address) && firstToken.fits(given);
    return isFirst ? firstTokenActor(firstToken.ended) : STRANGER;
  }
  const cookie = sessionCookie(request.headers.cookie, door.secure);
  const session = cookie === null ? undefined : accounts.sessions.use(cookie);
  if (session === undefined) return STRANGER;
  checkCookieUse(request);
  return sessionActor(session.id, address, session.ended);
}

/** A browser sends the cookie by itself: what asks must show that it is a page of ours (SameSite counts other ports as us). */
function checkCookieUse({ method, headers }: FastifyRequest): void {
  const { origin, "sec-fetch-site": site } = headers;
  if (site !== undefined && site !== "same-origin" && site !== "none") {
    throw forbidden("a session is used by pages of ours only");
  }
  if (CHANGES.has(method) && origin === undefined && site === undefined) {
    throw forbidden("a change by session cookie has to name its Origin; programs use a token");
  }
}

function authorize(actor: Actor, scope: Scope, reply: FastifyReply): void {
  if (scope === "open" || actor.kind === "socket") return;
  if (actor.kind === "stranger") {
    reply.header("www-authenticate", 'Bearer realm="portreeve"');
    throw unauthenticated(
      "sign in, or send `Authorization: Bearer TOKEN`; `portreeve token add NAME` on the gateway makes a token",
    );
  }
  if (scope === "local") throw forbidden("this is done on the gateway itself, over its Unix socket");
  if (!includes(actor.scopes, scope)) throw forbidden(`this needs a token for ${scope}`);
}

/** What is open, a stream above all, ends with the session or the token it was opened by. */
function endWith({ ended }: Actor, reply: FastifyReply): void {
  if (ended === null) return;
  // The very request that ended it is still answered.
  const close = () => {
    if (reply.raw.headersSent) reply.raw.destroy();
  };
  ended.addEventListener("abort", close, { once: true });
  reply.raw.once("close", () => ended.removeEventListener("abort", close));
}
