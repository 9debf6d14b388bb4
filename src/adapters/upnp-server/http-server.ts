import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { limitConnectionsPerAddress } from "../../lib/connections-per-address.ts";
import { endsConnections, listenOnDevice } from "../../lib/device-server.ts";
import type { DeviceSocket } from "../../lib/device-socket.ts";
import { answerInTurn } from "../../lib/requests-in-turn.ts";
import { answerUnreadable } from "./unreadable.ts";

/** A head and a body have to be here within these, and the whole conversation over; an honest client needs milliseconds. */
const HEADERS_MAX_MS = 3000;
const REQUEST_MAX_MS = 5000;
const CONVERSATION_MAX_MS = 15_000;
const HEADERS_MAX_BYTES = 4 * 1024;
const CONNECTIONS_MAX = 256;
/** Of one device. */
const CONNECTIONS_PER_DEVICE_MAX = 16;

export interface HttpServer {
  close(): Promise<void>;
}

export type Answerer = (request: IncomingMessage, response: ServerResponse) => void;

/** The TCP socket of one address of a served interface; whoever is not of the link is not even listened to. */
export async function openHttpServer(
  place: Pick<DeviceSocket, "interface" | "address" | "port">,
  isLet: (remoteAddress: string) => boolean,
  answer: Answerer,
): Promise<HttpServer> {
  const whenTaken = "it is in use by another UPnP server such as miniupnpd; stop that one (ss -tlnp names it)";
  const device: DeviceSocket = { ...place, transport: "tcp", whenTaken };
  const server = createServer({
    headersTimeout: HEADERS_MAX_MS,
    requestTimeout: REQUEST_MAX_MS,
    connectionsCheckingInterval: 500,
    maxHeaderSize: HEADERS_MAX_BYTES,
    // Answered with 400 like one that is there twice.
    requireHostHeader: false,
    noDelay: true,
  });
  server.maxConnections = CONNECTIONS_MAX;
  // Every control point knows that there is no more than one.
  server.maxRequestsPerSocket = 1;
  answerInTurn(server, { once: true });
  limitConnectionsPerAddress(server, CONNECTIONS_PER_DEVICE_MAX);
  const http = endsConnections(server);
  server.on("connection", (socket: Socket) => {
    if (!isLet(socket.remoteAddress ?? "")) return void socket.destroy();
    // From its first octet to its last, whoever of the two is slow.
    const end = setTimeout(() => socket.destroy(), CONVERSATION_MAX_MS);
    end.unref();
    socket.once("close", () => clearTimeout(end));
  });
  server.on("request", answer);
  answerUnreadable(server);
  await listenOnDevice(server, device);
  server.on("error", () => undefined);
  return http;
}

/** The body, or null if it is larger than `most`. Rejects when the client goes away. */
export function readBody(request: IncomingMessage, most: number): Promise<Uint8Array | null> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let size = 0;
    request.on("data", (piece: Buffer) => {
      size += piece.length;
      if (size > most) {
        request.pause();
        resolve(null);
      } else pieces.push(piece);
    });
    request.on("end", () => resolve(Buffer.concat(pieces)));
    request.on("error", reject);
    request.on("close", () => reject(new Error("the client went away")));
  });
}
