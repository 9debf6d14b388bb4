import { type IncomingMessage, request } from "node:http";
import { request as tlsRequest } from "node:https";

export interface Sent {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON, unless it is a string. */
  readonly body?: unknown;
  /** The address to come from. */
  readonly from?: string;
}

export interface Got {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
  readonly body: Record<string, unknown>;
}

/** Where to send to: a Unix socket, or TCP with or without TLS. */
export type Place =
  | { readonly socketPath: string }
  | { readonly port: number; readonly host?: string; readonly ca?: string; readonly insecure?: boolean };

/** One request on a connection of its own. An answer that never ends (a stream) is taken as far as its head. */
export function send(
  place: Place,
  path: string,
  { method = "GET", headers = {}, body, from }: Sent = {},
): Promise<Got> {
  const content = body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body);
  const length = content === null ? {} : { "content-length": String(Buffer.byteLength(content)) };
  const type = typeof body === "object" ? { "content-type": "application/json" } : {};
  const tls = "port" in place && (place.ca !== undefined || place.insecure === true);
  const options = {
    host: "127.0.0.1",
    ...place,
    method,
    path,
    agent: false,
    ...(from !== undefined && { localAddress: from }),
    ...(tls && { rejectUnauthorized: !("insecure" in place) }),
    headers: { ...("socketPath" in place && { host: "localhost" }), ...type, ...length, ...headers },
  };
  return new Promise((resolve, reject) => {
    const call = (tls ? tlsRequest : request)(options, (response) => {
      const got = (text: string): void => {
        const isJson = /^application\/(problem\+)?json/.test(String(response.headers["content-type"]));
        const parsed = isJson && text !== "" ? (JSON.parse(text) as Record<string, unknown>) : {};
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, body: parsed });
      };
      if (/event-stream/.test(String(response.headers["content-type"]))) {
        got("");
        response.destroy();
        return;
      }
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => got(text));
      response.on("error", reject);
    });
    call.on("error", reject);
    call.end(content);
  });
}

/** "portreeve=…", as a browser would send it back. */
export function cookieOf({ headers }: Got): string {
  return String(headers["set-cookie"]?.[0]).split(";", 1)[0] as string;
}
