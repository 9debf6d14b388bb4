import { request } from "node:http";
import { parseIpv4 } from "../../lib/ip.ts";
import type { Endpoint } from "./endpoint.ts";

/** Where events of one subscription go: the subscriber's own address, always. */
export interface Callback extends Endpoint {
  readonly path: string;
}

const PORT_MIN = 1024;
const PATH_MAX = 256;
/** From connecting to the answer; a subscriber that is alive needs milliseconds. UPnP allows 30 s. */
const DELIVERY_MAX_MS = 5000;

/**
 * The callback of a subscription, or null if it leads anywhere but to who asks for it: UPnP Device Architecture 2.0
 * §4.1.1 as of 2020, after CallStranger (CVE-2020-12695). A literal address, so that nothing is looked up; no port of
 * the well-known ones, so that no service there is spoken to.
 */
export function callbackOf(text: string, subscriber: string): Callback | null {
  const [, host = "", portText = "", path = "/"] = /^http:\/\/([\d.]+):(\d{1,5})(\/[!-~]*)?$/i.exec(text) ?? [];
  const port = Number(portText);
  if (host !== subscriber || parseIpv4(host) === null || port < PORT_MIN || port > 65535 || path.length > PATH_MAX)
    return null;
  return { address: host, port, path };
}

export interface EventMessage {
  readonly sid: string;
  readonly seq: number;
  readonly body: string;
}

/**
 * Whether the subscriber took it. One connection, from the served address, given up with `until`; where it leads on to is
 * not followed.
 */
export function postEvent(
  from: string,
  callback: Callback,
  { sid, seq, body }: EventMessage,
  until: AbortSignal,
): Promise<boolean> {
  const { address: host, port, path } = callback;
  return new Promise((resolve) => {
    const headers = {
      Host: `${host}:${port}`,
      "Content-Type": 'text/xml; charset="utf-8"',
      "Content-Length": Buffer.byteLength(body),
      NT: "upnp:event",
      NTS: "upnp:propchange",
      SID: sid,
      SEQ: String(seq),
      Connection: "close",
    };
    const signal = AbortSignal.any([until, AbortSignal.timeout(DELIVERY_MAX_MS)]);
    const sent = request({ host, port, path, localAddress: from, method: "NOTIFY", headers, agent: false, signal });
    sent.on("response", (response) => {
      resolve(response.statusCode === 200);
      // Whatever else it says is not read.
      response.destroy();
    });
    sent.on("error", () => resolve(false));
    // Also after an answer that nobody asked for, such as 101, of which nothing else is heard.
    sent.on("close", () => resolve(false));
    sent.end(body);
  });
}
