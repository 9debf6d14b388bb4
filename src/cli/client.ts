import { type IncomingMessage, request } from "node:http";
import { ERROR_CODES, type ErrorCode } from "../lib/errors.ts";
import { EXIT, exitOf, Failure } from "./exit.ts";

export interface Call {
  readonly method?: "GET" | "POST" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | null | undefined>>;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** HTTP over the daemon's Unix socket. Rejects with a `Failure` that says what to do next. */
export class Client {
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** The JSON document of the answer. */
  async call<T>(call: Call): Promise<T> {
    const response = await this.#open(call);
    let text = "";
    for await (const chunk of response) text += chunk as string;
    return (text === "" ? null : JSON.parse(text)) as T;
  }

  /** The answer in pieces as they come. Rejects if it ends before it is whole. */
  async *stream(call: Call): AsyncGenerator<string> {
    const response = await this.#open(call);
    try {
      for await (const chunk of response) yield chunk as string;
    } catch (cause) {
      throw new Failure(EXIT.unreachable, "the daemon closed the connection", "the answer is not complete; ask again", {
        cause,
      });
    } finally {
      response.destroy();
    }
  }

  async #open(call: Call): Promise<IncomingMessage> {
    const response = await this.#send(call);
    response.setEncoding("utf8");
    if ((response.statusCode ?? 0) < 400) return response;
    let text = "";
    for await (const chunk of response) text += chunk as string;
    throw problem(response.statusCode ?? 0, text);
  }

  #send({ method = "GET", path, query = {}, body, headers = {} }: Call): Promise<IncomingMessage> {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined && value !== null) parameters.set(name, String(value));
    }
    const search = parameters.size === 0 ? "" : `?${parameters.toString()}`;
    const content = body === undefined ? null : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const sent = request({
        socketPath: this.#socketPath,
        method,
        path: `/api/v1${path}${search}`,
        headers: { host: "localhost", ...headers, ...(content !== null && { "content-type": "application/json" }) },
      });
      sent.once("response", resolve);
      sent.once("error", (cause: NodeJS.ErrnoException) => reject(this.#unreachable(cause)));
      sent.end(content);
    });
  }

  #unreachable(cause: NodeJS.ErrnoException): Failure {
    const path = this.#socketPath;
    if (cause.code === "EACCES" || cause.code === "EPERM") {
      const next = "run it as root, or as a member of the group that the socket belongs to";
      return new Failure(EXIT.permission, `you may not talk to the daemon on ${path}`, next, { cause });
    }
    const why =
      cause.code === "ENOENT"
        ? "there is no such socket"
        : cause.code === "ECONNREFUSED"
          ? "nobody answers"
          : cause.message;
    const next = "start it with `portreeve run --config FILE`, or name its socket with --socket or PORTREEVE_SOCKET";
    return new Failure(EXIT.unreachable, `the daemon can't be reached on ${path}: ${why}`, next, { cause });
  }
}

function problem(status: number, text: string): Failure {
  let document: { code?: unknown; detail?: unknown } = {};
  try {
    document = JSON.parse(text) as typeof document;
  } catch {
    // Not a problem document: something else answers on that socket.
  }
  const { code, detail } = document;
  if (typeof code !== "string" || !Object.hasOwn(ERROR_CODES, code)) {
    return new Failure(EXIT.error, `the daemon answered ${status}: ${text.slice(0, 200)}`);
  }
  // Where in the request a mistake is says less than what it is called there.
  const message =
    typeof detail === "string"
      ? detail.replaceAll(/(^|; )(body|querystring|params)\//g, "$1")
      : ERROR_CODES[code as ErrorCode];
  return new Failure(exitOf(code as ErrorCode), `${message} (${code})`);
}
