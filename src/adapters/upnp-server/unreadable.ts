import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";

/** As far as Node's parser says what it did not take. */
interface ParserError extends Error {
  readonly code?: string;
  readonly rawPacket?: Buffer;
}

const STATUS_OF: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};
const REQUEST_LINE = /^([!#$%&'*+.^_`|~\w-]{1,32}) [!-~]{1,1024} HTTP\/1\.[01]\r\n/;

/** Answers what Node's parser does not take, among it every method that it does not know. */
export function answerUnreadable(server: Server): void {
  const responses = new WeakMap<Socket, ServerResponse>();
  server.on("request", ({ socket }: IncomingMessage, response: ServerResponse) => responses.set(socket, response));
  server.on("clientError", (cause: ParserError, socket: Socket) => {
    if (socket.writable && responses.get(socket)?.headersSent !== true) socket.write(answerTo(cause));
    socket.destroy();
  });
}

function answerTo({ code = "", rawPacket }: ParserError): string {
  const [, method] = (code === "HPE_INVALID_METHOD" && REQUEST_LINE.exec(rawPacket?.toString("latin1") ?? "")) || [];
  // UPnP Device Architecture 1.0 §3.1.1 has M-POST for who is not let POST. RFC 9110 §15.6.2: who does not know a method.
  const status = method === undefined ? (STATUS_OF[code] ?? 400) : method === "M-POST" ? 405 : 501;
  const allow = status === 405 ? "Allow: POST\r\n" : "";
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${allow}Content-Length: 0\r\nConnection: close\r\n\r\n`;
}
