import { UpnpDecodeError } from "./error.ts";
import { readXml, XML_DECLARATION, type XmlLimits, xmlElement } from "./xml.ts";

/** UPnP Device Architecture 1.1 §4. */
const EVENT = "urn:schemas-upnp-org:event-1-0";
const LIMITS: XmlLimits = { bytes: 64 * 1024, depth: 8, elements: 256 };
const SID = /^uuid:[\w.-]{1,64}$/;
const CALLBACK = /<([^<>]{1,512})>/g;

export type SubscriptionRequest =
  | { readonly kind: "subscribe"; readonly callbacks: readonly string[]; readonly seconds: number | null }
  | { readonly kind: "renew"; readonly sid: string; readonly seconds: number | null }
  | { readonly kind: "unsubscribe"; readonly sid: string };

/** Answered instead: 400 for headers that exclude each other, 412 for those that are missing or wrong (§4.1.2). */
export class GenaRefusal extends Error {
  override readonly name = "GenaRefusal";
  readonly status: 400 | 412;

  constructor(status: 400 | 412, message: string) {
    super(message);
    this.status = status;
  }
}

/** The headers of SUBSCRIBE and UNSUBSCRIBE, by their names in lower case. */
export type GenaHeaders = Readonly<Record<"sid" | "nt" | "callback" | "timeout", string | undefined>>;

export function readSubscription(method: "SUBSCRIBE" | "UNSUBSCRIBE", headers: GenaHeaders): SubscriptionRequest {
  const { sid, nt, callback, timeout } = headers;
  if (sid !== undefined && (nt !== undefined || callback !== undefined))
    throw new GenaRefusal(400, "SID and NT or CALLBACK exclude each other");
  if (method === "UNSUBSCRIBE" || sid !== undefined) {
    if (sid === undefined || !SID.test(sid)) throw new GenaRefusal(412, "no SID");
    return method === "UNSUBSCRIBE"
      ? { kind: "unsubscribe", sid }
      : { kind: "renew", sid, seconds: secondsOf(timeout) };
  }
  if (nt !== "upnp:event") throw new GenaRefusal(412, "NT is not upnp:event");
  const callbacks = [...(callback ?? "").matchAll(CALLBACK)].map(([, url = ""]) => url);
  if (callbacks.length === 0) throw new GenaRefusal(412, "no CALLBACK");
  return { kind: "subscribe", callbacks, seconds: secondsOf(timeout) };
}

/** "Second-1800"; null for "infinite", for none, and for what cannot be read: the publisher says how long it is. */
function secondsOf(timeout: string | undefined): number | null {
  const [, seconds] = /^second-(\d{1,9})$/i.exec(timeout?.trim() ?? "") ?? [];
  return seconds === undefined ? null : Number(seconds);
}

export const timeoutText = (seconds: number): string => `Second-${seconds}`;

export type Properties = Readonly<Record<string, string>>;

/** §4.3.2: one property for each variable. */
export function encodePropertySet(properties: Properties): string {
  const each = Object.entries(properties).map(([name, value]) => `<e:property>${xmlElement(name, value)}</e:property>`);
  return `${XML_DECLARATION}<e:propertyset xmlns:e="${EVENT}">${each.join("")}</e:propertyset>\n`;
}

export function decodePropertySet(document: Uint8Array): Properties {
  const root = readXml(document, LIMITS);
  if (root.name !== "propertyset" || root.namespace !== EVENT) throw new UpnpDecodeError("not a property set");
  const variables = root.children.flatMap((property) => property.children);
  return Object.fromEntries(variables.map(({ name, text }) => [name, text]));
}

/** §4.3: SEQ is 32 bits and never 0 again after the first event. */
export const nextSeq = (seq: number): number => (seq >= 0xffffffff ? 1 : seq + 1);
