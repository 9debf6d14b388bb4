import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { FastifyInstance } from "fastify";
import { RequestProblem } from "./problem.ts";

/** How requests come in. On the Unix socket the file mode is the access control; on TCP the bearer token is. */
export interface Door {
  /** Requests that are not known to have come by the socket are treated as strangers. */
  cameBySocket(raw: IncomingMessage): boolean;
  /** "127.0.0.1:8351": what a Host header may say. Empty while nothing listens on TCP. */
  readonly hosts: ReadonlySet<string>;
  readonly token: string | null;
}

/** Read by probes and people without the token; they tell no secrets. */
const OPEN_PATHS = new Set(["/healthz", "/readyz", "/openapi.json", "/docs"]);

export function guardDoor(app: FastifyInstance, door: Door): void {
  app.addHook("onRequest", async (request, reply) => {
    // DNS rebinding and cross-site requests: a browser's page must not reach us under another name (CVE-2022-21703 is one of many).
    const { origin, host = "", authorization = "" } = request.headers;
    if (origin !== undefined && !isOurs(origin, door)) {
      throw new RequestProblem({ code: "NOT_AUTHORIZED", message: `requests from ${origin} are not allowed` }, 403);
    }
    if (door.cameBySocket(request.raw)) return;
    if (!door.hosts.has(host.toLowerCase())) {
      const message = `this is not ${host === "" ? "an unnamed host" : host}; use ${[...door.hosts][0] ?? "the socket"}`;
      throw new RequestProblem({ code: "INVALID_REQUEST", message }, 421);
    }
    const path = request.url.split("?", 1)[0] as string;
    if (OPEN_PATHS.has(path)) return;
    if (door.token !== null && sameSecret(authorization, `Bearer ${door.token}`)) return;
    reply.header("www-authenticate", 'Bearer realm="portreeve"');
    const message = "send `Authorization: Bearer TOKEN` with the token from the api-token file in the data directory";
    throw new RequestProblem({ code: "NOT_AUTHORIZED", message }, 401);
  });
}

function isOurs(origin: string, door: Door): boolean {
  return origin.startsWith("http://") && door.hosts.has(origin.slice("http://".length).toLowerCase());
}

/** Compares digests: equal length whatever was sent, and constant time. */
function sameSecret(given: string, wanted: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}

/** Names by which a loopback listener may be called. */
export function loopbackHosts(host: string, port: number): Set<string> {
  const literal = host.includes(":") ? `[${host}]` : host;
  const names = [literal, "localhost", "127.0.0.1", "[::1]"].map((name) => `${name}:${port}`.toLowerCase());
  // Browsers leave the default port out.
  return new Set(port === 80 ? [...names, ...names.map((name) => name.slice(0, -":80".length))] : names);
}
