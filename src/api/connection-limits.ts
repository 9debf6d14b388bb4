import type { Server } from "node:http";
import { limitConnectionsPerAddress } from "../lib/connections-per-address.ts";
import { answerInTurn } from "../lib/requests-in-turn.ts";
import { neighbourhood, plainAddress } from "./auth/client-address.ts";

/** A request's headers and body have to be here within these; an honest client needs milliseconds. */
const HEADERS_MAX_MS = 3000;
const REQUEST_MAX_MS = 5000;
const KEEP_ALIVE_MS = 5000;
const HEADERS_MAX_BYTES = 8 * 1024;
const CONNECTIONS_MAX = 256;
/** Of one address, so that one that opens all it can leaves room. */
const CONNECTIONS_PER_ADDRESS_MAX = 64;
/** Then it is closed. A connection may ask before it has its answers; it gets them one by one. */
const REQUESTS_PER_CONNECTION_MAX = 256;

/** For `createServer`. Node's own are a minute for headers, five for a request, no end of connections. */
export const SERVER_LIMITS = {
  headersTimeout: HEADERS_MAX_MS,
  requestTimeout: REQUEST_MAX_MS,
  keepAliveTimeout: KEEP_ALIVE_MS,
  connectionsCheckingInterval: 500,
  maxHeaderSize: HEADERS_MAX_BYTES,
};
export const TLS_LIMITS = { handshakeTimeout: HEADERS_MAX_MS, minVersion: "TLSv1.2" } as const;

export function limitConnections<S extends Server>(server: S): S {
  server.maxConnections = CONNECTIONS_MAX;
  server.maxRequestsPerSocket = REQUESTS_PER_CONNECTION_MAX;
  answerInTurn(server, { once: false });
  return server;
}

export function limitEachAddress(server: Server): void {
  limitConnectionsPerAddress(server, CONNECTIONS_PER_ADDRESS_MAX, (address) => neighbourhood(plainAddress(address)));
}
