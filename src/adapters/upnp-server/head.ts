import { CONTROL_PATHS, EVENT_PATHS, type ServiceName } from "./documents.ts";

/** The head of a request, as it was read. */
export interface Head {
  readonly method: string;
  readonly url: string;
  /** By their names in lower case; several values for one that is there several times. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export type Route =
  | { readonly kind: "document"; readonly path: string }
  | { readonly kind: "control"; readonly service: ServiceName }
  | { readonly kind: "events"; readonly service: ServiceName; readonly method: "SUBSCRIBE" | "UNSUBSCRIBE" }
  | { readonly kind: "refused"; readonly status: number; readonly message: string; readonly allow?: string };

/**
 * Headers that browsers send and control points do not. With them, a page from anywhere speaks through the browser of
 * somebody here; so does one whose name was made to lead here (DNS rebinding), which the Host header gives away.
 * Sec-Fetch-Mode is none of them: Node's fetch sends it, and control points are made of that.
 */
const OF_BROWSERS = ["origin", "referer", "cookie", "sec-fetch-site"];
const XML_TYPE = /^(?:text|application)\/(?:soap\+)?xml\s*(?:;|$)/i;

/** Pure: where a request goes, or why nowhere. `place`: the address and port that it came in on. */
export function route(
  head: Head,
  place: { address: string; port: number },
  documents: ReadonlyMap<string, unknown>,
): Route {
  const { method, headers } = head;
  const refused = (status: number, message: string, allow?: string): Route =>
    allow === undefined ? { kind: "refused", status, message } : { kind: "refused", status, message, allow };
  if (typeof headers["host"] !== "string") return refused(400, "not exactly one Host header (RFC 9112 §3.2)");
  const { host, url } = targetOf(head.url, headers["host"]);
  if (host !== `${place.address}:${place.port}` && host !== place.address)
    return refused(403, "the Host header is not the address that was called");
  const foreign = OF_BROWSERS.find((name) => headers[name] !== undefined);
  if (foreign !== undefined) return refused(403, `no control point sends a ${foreign} header`);
  if (documents.has(url)) {
    return method === "GET" || method === "HEAD"
      ? { kind: "document", path: url }
      : refused(405, "a document", "GET, HEAD");
  }
  const control = serviceAt(CONTROL_PATHS, url);
  if (control !== undefined) {
    if (method !== "POST") return refused(405, "actions are called by POST", "POST");
    const { "content-type": type } = headers;
    if (typeof type !== "string" || !XML_TYPE.test(type)) return refused(415, "the body of an action is text/xml");
    return { kind: "control", service: control };
  }
  const service = serviceAt(EVENT_PATHS, url);
  if (service === undefined) return refused(404, "there is nothing here");
  if (method === "SUBSCRIBE" || method === "UNSUBSCRIBE") return { kind: "events", service, method };
  return refused(405, "events are subscribed to", "SUBSCRIBE, UNSUBSCRIBE");
}

/** RFC 9112 §3.2.2: a target may be a whole URL, whose host then counts, and the Host header does not. */
function targetOf(target: string, named: string): { host: string; url: string } {
  const [, host, path = ""] = /^http:\/\/([^/?#]*)(.*)$/i.exec(target) ?? [];
  if (host === undefined) return { host: named, url: target };
  return { host, url: path.startsWith("/") ? path : `/${path}` };
}

function serviceAt(paths: Readonly<Record<ServiceName, string>>, url: string): ServiceName | undefined {
  return (Object.keys(paths) as ServiceName[]).find((name) => paths[name] === url);
}
