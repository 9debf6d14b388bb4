import { type ClientHttp2Session, connect } from "node:http2";
import type { UpstreamServer } from "../../../../lib/dns-upstream.ts";
import { MESSAGE_OCTETS_MAX } from "../../../../protocols/dns/constants.ts";
import { causeText, UpstreamFault, WITHDRAWN } from "./upstream-fault.ts";
import { tlsOptions } from "./upstream-tls.ts";

const IDLE_MS = 30_000;
/** As of a stream: given up after this long with nothing heard since, a session leads nowhere. */
const SILENCE_MS = 1500;
const MEDIA_TYPE = "application/dns-message";

type HttpsServer = Extract<UpstreamServer, { readonly kind: "https" }>;

export interface HttpsAnswer {
  readonly bytes: Uint8Array;
  /** RFC 8484 §5.1: how long a cache on the way has had it. */
  readonly ageSeconds: number;
}

/** A session of HTTP/2 with a resolver (RFC 8484 §5.2): the address is given, the certificate has to be the name's. */
export class HttpsConnection {
  readonly #session: ClientHttp2Session;
  readonly #path: string;
  readonly #authority: string;
  #heardAt = 0;
  #answers = 0;

  constructor(server: HttpsServer, authorities: readonly string[] | undefined) {
    this.#path = server.path;
    this.#authority = `${server.name.includes(":") ? `[${server.name}]` : server.name}${server.port === 443 ? "" : `:${server.port}`}`;
    this.#session = connect(`https://${this.#authority}`, {
      host: server.address,
      ...tlsOptions(server.name, authorities),
    });
    // Each query under way listens for the reason why it ends.
    this.#session.setMaxListeners(0);
    this.#session.on("error", () => undefined);
    this.#session.setTimeout(IDLE_MS, () => this.#session.close());
  }

  get usable(): boolean {
    return !this.#session.closed && !this.#session.destroyed;
  }

  get proven(): boolean {
    return this.#answers > 0;
  }

  ask(query: Uint8Array, signal: AbortSignal): Promise<HttpsAnswer> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(WITHDRAWN);
      const sentAt = performance.now();
      // The session's own error says why (a certificate); the stream's only that it ended.
      const ended = (cause: Error): void => reject(new UpstreamFault("unreachable", causeText(cause.cause ?? cause)));
      this.#session.once("error", ended);
      const stream = this.#session.request({
        ":method": "POST",
        ":path": this.#path,
        ":authority": this.#authority,
        "content-type": MEDIA_TYPE,
        accept: MEDIA_TYPE,
        "content-length": String(query.length),
      });
      signal.addEventListener(
        "abort",
        () => {
          reject(WITHDRAWN);
          stream.close();
          if (this.#heardAt < sentAt && performance.now() - sentAt >= SILENCE_MS) this.#session.destroy();
        },
        { once: true },
      );
      let ageSeconds = 0;
      const parts: Buffer[] = [];
      let octets = 0;
      stream.on("response", (headers) => {
        this.#heardAt = performance.now();
        ageSeconds = Math.max(0, Number.parseInt(headers["age"] ?? "0", 10) || 0);
        const [status, type] = [headers[":status"], headers["content-type"]];
        if (status === 200 && type?.toLowerCase().startsWith(MEDIA_TYPE) === true) return;
        ended(new Error(status === 200 ? `it answers ${type ?? "nothing"}` : `HTTP status ${status}`));
        stream.close();
      });
      stream.on("data", (part: Buffer) => {
        octets += part.length;
        if (octets <= MESSAGE_OCTETS_MAX) parts.push(part);
        else stream.close();
      });
      stream.on("end", () => {
        this.#answers += 1;
        resolve({ bytes: Buffer.concat(parts), ageSeconds });
      });
      stream.on("error", ended);
      stream.on("close", () => {
        this.#session.off("error", ended);
        reject(new UpstreamFault("closed", "the session was closed"));
      });
      stream.end(query);
    });
  }

  close(): void {
    this.#session.destroy();
  }
}
