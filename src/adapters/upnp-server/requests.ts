import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../../lib/clock.ts";
import { RateLimit } from "../../lib/rate-limit.ts";
import type { RequestEntry, RequestLog } from "../../lib/request-log.ts";
import { GenaRefusal, readSubscription, timeoutText } from "../../protocols/upnp/gena.ts";
import { REQUEST_LIMITS } from "../../protocols/upnp/soap.ts";
import type { Control } from "./control.ts";
import type { Documents, ServiceName } from "./documents.ts";
import { callbackOf } from "./event-post.ts";
import type { Caller } from "./exchange.ts";
import { type Route, route } from "./head.ts";
import { readBody } from "./http-server.ts";
import type { Identity } from "./identity.ts";
import type { Subscriptions } from "./subscriptions.ts";

export interface RequestsOptions {
  readonly identity: Identity;
  readonly documents: Documents;
  readonly control: Control;
  readonly subscriptions: Subscriptions;
  readonly clock: Clock;
  readonly requests: RequestLog;
  readonly requestsPerSecond: () => number;
}

/** The address that a request came in on. */
export interface Place {
  readonly interface: string;
  readonly address: string;
  readonly port: number;
}

interface Asking {
  readonly at: number;
  readonly place: Place;
  readonly caller: Caller;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Clients list their mappings one by one, as fast as they are answered: whoever asks too often waits, and not for long. */
const WAIT_MAX_MS = 2000;
const WAIT_STEP_MS = 20;

const XML = { "Content-Type": 'text/xml; charset="utf-8"', EXT: "", "Content-Language": "en" };

/** Takes each HTTP request to its answer. */
export class Requests {
  readonly #options: RequestsOptions;
  readonly #rate = new RateLimit();

  constructor(options: RequestsOptions) {
    this.#options = options;
  }

  receive(place: Place, request: IncomingMessage, response: ServerResponse): void {
    const caller = { interface: place.interface, device: request.socket.remoteAddress ?? "" };
    const asking: Asking = { at: this.#options.clock.now(), place, caller, request, response };
    this.#answer(asking).catch(() => response.destroy());
  }

  async #answer(asking: Asking): Promise<void> {
    const { at, place, caller, request } = asking;
    const { documents, requestsPerSecond } = this.#options;
    if (!(await this.#hasTurn(caller, at)))
      return this.#refuse(asking, { status: 503, message: `more than ${requestsPerSecond()} requests a second` });
    const { method = "", url = "", headers, headersDistinct } = request;
    // Node gives the first alone.
    const { host = [] } = headersDistinct;
    const all = { ...headers, host: host.length === 1 ? host[0] : host };
    const way = route({ method, url, headers: all }, place, documents.byPath);
    switch (way.kind) {
      case "refused":
        return this.#refuse(asking, way);
      case "document":
        return this.#send(asking, 200, XML, documents.byPath.get(way.path) ?? "");
      case "events":
        return this.#events(asking, way);
      case "control":
        return await this.#control(asking, way.service);
    }
  }

  async #hasTurn({ interface: served, device }: Caller, at: number): Promise<boolean> {
    const { clock, requestsPerSecond } = this.#options;
    while (!this.#rate.take(`${served} ${device}`, requestsPerSecond(), clock.now())) {
      if (clock.now() - at >= WAIT_MAX_MS) return false;
      await new Promise<void>((resolve) => clock.setAlarm(clock.now() + WAIT_STEP_MS, resolve));
    }
    return true;
  }

  async #control(asking: Asking, service: ServiceName): Promise<void> {
    const { request, caller } = asking;
    const body = await readBody(request, REQUEST_LIMITS.bytes);
    if (body === null)
      return this.#refuse(asking, { status: 413, message: `more than ${REQUEST_LIMITS.bytes} octets` });
    const { soapaction } = request.headers;
    const soapAction = typeof soapaction === "string" ? soapaction : undefined;
    const answer = await this.#options.control.answer(service, caller, soapAction, body);
    const isXml = answer.status === 200 || answer.status === 500;
    this.#send(asking, answer.status, isXml ? XML : { "Content-Type": "text/plain" }, answer.body);
    this.#log(asking, answer);
  }

  #events(asking: Asking, { service, method }: Extract<Route, { kind: "events" }>): void {
    const { caller, place, request, response } = asking;
    const { subscriptions } = this.#options;
    const header = (name: string): string | undefined => {
      const value = request.headers[name];
      return typeof value === "string" ? value : undefined;
    };
    try {
      const headers = {
        sid: header("sid"),
        nt: header("nt"),
        callback: header("callback"),
        timeout: header("timeout"),
      };
      const asked = readSubscription(method, headers);
      if (asked.kind === "unsubscribe") {
        if (!subscriptions.unsubscribe(service, caller, asked.sid))
          throw new GenaRefusal(412, "there is no such subscription");
        this.#send(asking, 200, {}, "");
        return this.#log(asking, {
          request: `unsubscribe from ${service}`,
          decision: "released",
          code: null,
          message: "",
        });
      }
      if (asked.kind === "renew") {
        const seconds = subscriptions.renew(service, caller, asked.sid, asked.seconds);
        if (seconds === null) throw new GenaRefusal(412, "there is no such subscription");
        return this.#send(asking, 200, { SID: asked.sid, TIMEOUT: timeoutText(seconds) }, "");
      }
      const callbacks = asked.callbacks.map((text) => callbackOf(text, caller.device));
      const [callback] = callbacks;
      if (callback === undefined || callback === null || callbacks.includes(null))
        throw new GenaRefusal(412, "a callback that is not at the subscriber's own address, on a port from 1024 up");
      const subscribed = subscriptions.subscribe(service, caller, place.address, callback, asked.seconds);
      if (subscribed === null)
        return this.#refuse(asking, { status: 503, message: "there are as many subscriptions as there may be" });
      const { sid, seconds, begin } = subscribed;
      response.once("finish", begin);
      this.#send(asking, 200, { SID: sid, TIMEOUT: timeoutText(seconds) }, "");
      const message = `events to port ${callback.port} for ${seconds} s`;
      this.#log(asking, { request: `subscribe to ${service}`, decision: "granted", code: null, message });
    } catch (cause) {
      if (!(cause instanceof GenaRefusal)) throw cause;
      this.#refuse(asking, cause);
    }
  }

  #refuse(asking: Asking, { status, message, allow }: { status: number; message: string; allow?: string }): void {
    const { method = "", url = "" } = asking.request;
    const headers = { "Content-Type": "text/plain", ...(allow === undefined ? {} : { Allow: allow }) };
    this.#send(asking, status, headers, `${message}\n`);
    const request = `${method} ${url.slice(0, 64)}`.replace(/\p{C}/gu, " ");
    this.#log(asking, { request, decision: "refused", code: "INVALID_REQUEST", message: `${status}: ${message}` });
  }

  /** One request a connection: every control point knows that, and a body that was not read does no harm. */
  #send({ request, response }: Asking, status: number, headers: Readonly<Record<string, string>>, body: string): void {
    const length = Buffer.byteLength(body);
    const all = { ...headers, Server: this.#options.identity.server, "Content-Length": length, Connection: "close" };
    response.writeHead(status, all);
    response.end(request.method === "HEAD" ? "" : body);
  }

  #log({ at, caller }: Asking, entry: Pick<RequestEntry, "request" | "decision" | "code" | "message">): void {
    const { clock, requests } = this.#options;
    const { interface: served, device: from } = caller;
    const { request, decision, code, message } = entry;
    const durationMs = clock.now() - at;
    requests.add({ at, protocol: "upnp", from, interface: served, request, decision, code, message, durationMs });
  }
}
