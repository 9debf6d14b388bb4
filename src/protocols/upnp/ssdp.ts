import { UpnpDecodeError } from "./error.ts";

/** UPnP Device Architecture 1.1 §1.1. */
export const SSDP_PORT = 1900;
export const SSDP_GROUP = "239.255.255.250";
const EVERYONE = `${SSDP_GROUP}:${SSDP_PORT}`;

const BYTES_MAX = 2048;
const HEADERS_MAX = 32;
const START_LINES = {
  "M-SEARCH * HTTP/1.1": "search",
  "NOTIFY * HTTP/1.1": "notify",
  "HTTP/1.1 200 OK": "response",
} as const;
/** RFC 9110 §5.6.2, and no more than its names are long. */
const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/;

export type SsdpMessage =
  | {
      readonly kind: "search";
      readonly target: string;
      /** Seconds that answers may be spread over; null where the search has none, as a unicast one. */
      readonly maxWait: number | null;
    }
  | {
      readonly kind: "notify";
      readonly type: string;
      readonly about: string;
      readonly usn: string;
      readonly location: string | null;
    }
  | { readonly kind: "response"; readonly target: string; readonly usn: string; readonly location: string };

export function decodeSsdp(bytes: Uint8Array): SsdpMessage {
  if (bytes.length > BYTES_MAX) throw new UpnpDecodeError(`more than ${BYTES_MAX} octets`);
  const { kind, headers } = headOf(bytes);
  const required = (name: string): string => {
    const value = headers.get(name);
    if (value === undefined || value === "") throw new UpnpDecodeError(`no ${name.toUpperCase()}`);
    return value;
  };
  if (kind === "notify") {
    const location = headers.get("location") ?? null;
    return { kind, type: required("nts"), about: required("nt"), usn: required("usn"), location };
  }
  if (kind === "response")
    return { kind, target: required("st"), usn: required("usn"), location: required("location") };
  // The quotes are part of it (§1.3.2), and real control points leave them out.
  if (required("man").replace(/^"(.*)"$/, "$1") !== "ssdp:discover")
    throw new UpnpDecodeError("MAN is not ssdp:discover");
  const wait = headers.get("mx");
  if (wait !== undefined && !/^\d{1,5}$/.test(wait)) throw new UpnpDecodeError("MX is no number");
  return { kind, target: required("st"), maxWait: wait === undefined ? null : Number(wait) };
}

function headOf(bytes: Uint8Array): { kind: SsdpMessage["kind"]; headers: ReadonlyMap<string, string> } {
  // Latin-1: every octet is a character, so nothing is lost or made up.
  const text = String.fromCharCode(...bytes);
  const [start = "", ...lines] = text.split(/\r?\n/);
  const kind = Object.hasOwn(START_LINES, start) ? START_LINES[start as keyof typeof START_LINES] : undefined;
  if (kind === undefined) throw new UpnpDecodeError("no start line of SSDP");
  const headers = new Map<string, string>();
  for (const line of lines) {
    if (line === "") break;
    const colon = line.indexOf(":");
    const name = withoutBlanks(line.slice(0, Math.max(colon, 0)), "behind");
    const value = withoutBlanks(line.slice(colon + 1), "around");
    if (!HEADER_NAME.test(name) || value.includes("\r")) throw new UpnpDecodeError("a line that is no header");
    if (headers.size >= HEADERS_MAX) throw new UpnpDecodeError(`more than ${HEADERS_MAX} headers`);
    const key = name.toLowerCase();
    if (headers.has(key)) throw new UpnpDecodeError(`${name} is there twice`);
    headers.set(key, value);
  }
  return { kind, headers };
}

/** Step by step: a regular expression would try all of a long row of blanks from each of them. */
function withoutBlanks(text: string, where: "around" | "behind"): string {
  const isBlank = (at: number): boolean => text[at] === " " || text[at] === "\t";
  let [start, end] = [0, text.length];
  while (end > start && isBlank(end - 1)) end -= 1;
  while (where === "around" && start < end && isBlank(start)) start += 1;
  return text.slice(start, end);
}

/** What a device says of itself, and how long that holds. */
export interface Advertised {
  readonly location: string;
  /** "Linux UPnP/1.1 Portreeve/1.0". */
  readonly server: string;
  /** Seconds. */
  readonly maxAge: number;
  /** Grows with each start: UPnP Device Architecture 1.1 §1.2. */
  readonly bootId: number;
  /** Changes with the description. */
  readonly configId: number;
}

/** One of the names a device is found by. */
export interface Target {
  /** NT or ST. */
  readonly type: string;
  readonly usn: string;
}

export const encodeSearch = (target: string, maxWait: number | null, host = EVERYONE): string =>
  message("M-SEARCH * HTTP/1.1", [
    ["HOST", host],
    ["MAN", '"ssdp:discover"'],
    ...(maxWait === null ? [] : [["MX", maxWait] as const]),
    ["ST", target],
  ]);

/** §1.3.3. DATE is left out: nobody needs it, and an answer is to be hardly longer than what called for it. */
export const encodeSearchResponse = ({ type, usn }: Target, device: Advertised): string =>
  message("HTTP/1.1 200 OK", [
    ["CACHE-CONTROL", `max-age=${device.maxAge}`],
    ["EXT", ""],
    ["LOCATION", device.location],
    ["SERVER", device.server],
    ["ST", type],
    ["USN", usn],
    ["BOOTID.UPNP.ORG", device.bootId],
    ["CONFIGID.UPNP.ORG", device.configId],
  ]);

/** §1.2.2. */
export const encodeAlive = ({ type, usn }: Target, device: Advertised): string =>
  message("NOTIFY * HTTP/1.1", [
    ["HOST", EVERYONE],
    ["CACHE-CONTROL", `max-age=${device.maxAge}`],
    ["LOCATION", device.location],
    ["NT", type],
    ["NTS", "ssdp:alive"],
    ["SERVER", device.server],
    ["USN", usn],
    ["BOOTID.UPNP.ORG", device.bootId],
    ["CONFIGID.UPNP.ORG", device.configId],
  ]);

/** §1.2.3. */
export const encodeByebye = (
  { type, usn }: Target,
  { bootId, configId }: Pick<Advertised, "bootId" | "configId">,
): string =>
  message("NOTIFY * HTTP/1.1", [
    ["HOST", EVERYONE],
    ["NT", type],
    ["NTS", "ssdp:byebye"],
    ["USN", usn],
    ["BOOTID.UPNP.ORG", bootId],
    ["CONFIGID.UPNP.ORG", configId],
  ]);

/** §1.2.4: the device is reached in another way too now, so its BOOTID is about to be another. */
export const encodeUpdate = ({ type, usn }: Target, device: Advertised, nextBootId: number): string =>
  message("NOTIFY * HTTP/1.1", [
    ["HOST", EVERYONE],
    ["LOCATION", device.location],
    ["NT", type],
    ["NTS", "ssdp:update"],
    ["USN", usn],
    ["BOOTID.UPNP.ORG", device.bootId],
    ["CONFIGID.UPNP.ORG", device.configId],
    ["NEXTBOOTID.UPNP.ORG", nextBootId],
  ]);

function message(start: string, headers: readonly (readonly [name: string, value: string | number])[]): string {
  return `${[start, ...headers.map(([name, value]) => `${name}: ${value}`)].join("\r\n")}\r\n\r\n`;
}
