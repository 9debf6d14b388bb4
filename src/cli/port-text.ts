import { isHostIpv4, parseIpv4 } from "../lib/ip.ts";
import { canonicalIpv6 } from "../lib/ipv6.ts";
import { usage } from "./exit.ts";

export type Protocol = "tcp" | "udp";

const FORWARD_HELP = "write it as 25565/tcp, 8443:443/tcp, 49152-49251/udp; without a protocol both are meant";
const SELECTOR_HELP =
  "write it as 8443/tcp, 8443 (both protocols), 203.0.113.7:8443/tcp, [2001:db8::7]:8443/tcp, or an id from `port list`";

function portNumber(text: string, help: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65535) throw usage(`${text} is not a port from 1 to 65535`, help);
  return port;
}

/** A port that is named alone. */
export const parsePort = (text: string): number => portNumber(text, "write it as a number, as in 443");

function splitProtocol(text: string, help: string): { place: string; protocol: Protocol | null } {
  const slash = text.indexOf("/");
  if (slash < 0) return { place: text, protocol: null };
  const protocol = text.slice(slash + 1).toLowerCase();
  if (protocol !== "tcp" && protocol !== "udp") throw usage(`${protocol} is not tcp or udp`, help);
  return { place: text.slice(0, slash), protocol };
}

function range(text: string): { first: number; count: number } {
  const [from = "", to = from, ...more] = text.split("-");
  const first = portNumber(from, FORWARD_HELP);
  const last = portNumber(to, FORWARD_HELP);
  if (more.length > 0 || last < first) throw usage(`${text} is not a range of ports`, FORWARD_HELP);
  return { first, count: last - first + 1 };
}

export interface Forward {
  readonly protocols: readonly Protocol[];
  readonly externalPort: number;
  readonly internalPort: number;
  readonly count: number;
}

/** `EXTERNAL[-LAST][:INTERNAL[-LAST]][/tcp|/udp]`; no protocol means both. */
export function parseForward(text: string): Forward {
  const { place, protocol } = splitProtocol(text, FORWARD_HELP);
  const [outer = "", inner = outer, ...more] = place.split(":");
  if (more.length > 0) throw usage(`${text} names more than an external and an internal port`, FORWARD_HELP);
  const { first: externalPort, count } = range(outer);
  const { first: internalPort, count: innerCount } = range(inner);
  if (innerCount !== count && innerCount !== 1) {
    throw usage(`${text} maps ${count} external ports to ${innerCount} internal ones`, FORWARD_HELP);
  }
  return { protocols: protocol === null ? ["tcp", "udp"] : [protocol], externalPort, internalPort, count };
}

/** Names rows by id, or by external place; no protocol names both. */
export type Selector =
  | { readonly id: string }
  | { readonly port: number; readonly protocol: Protocol | null; readonly address: string | null };

export function parseSelector(text: string): Selector {
  if (/^m[0-9a-f]{12}$/.test(text)) return { id: text };
  const { place, protocol } = splitProtocol(text, SELECTOR_HELP);
  const colon = place.lastIndexOf(":");
  const named = colon < 0 ? null : place.slice(0, colon);
  const ipv6 = /^\[(.*)\]$/.exec(named ?? "")?.[1];
  const address = ipv6 === undefined ? named : canonicalIpv6(ipv6);
  if (named !== null && (address === null || (ipv6 === undefined && parseIpv4(address) === null))) {
    throw usage(`${named} is neither an IPv4 address nor an IPv6 one in brackets`, SELECTOR_HELP);
  }
  return { port: portNumber(place.slice(colon + 1), SELECTOR_HELP), protocol, address };
}

/** The host that packets go to: its address, or a registered device's name or id. */
export type Target = { readonly address: string } | { readonly device: string };

export function parseTarget(text: string): Target {
  if (isHostIpv4(text)) return { address: text };
  if (/^(?=.*[a-z])[a-z0-9-]{1,63}$/i.test(text)) return { device: text };
  throw usage(
    `${text} is neither a device nor the IPv4 address of a host`,
    "`portreeve device list` shows the devices",
  );
}

/** `TARGET[:PORT]`. */
export function parseDestination(text: string): { readonly target: Target; readonly port: number | null } {
  const colon = text.indexOf(":");
  if (colon < 0) return { target: parseTarget(text), port: null };
  return { target: parseTarget(text.slice(0, colon)), port: portNumber(text.slice(colon + 1), FORWARD_HELP) };
}

export const SOURCE_HELP =
  "what the host sees of visitors: `keep` their address, `gateway`, or `auto` by the device's profile";

/** The field of a port or a route that `--source` sets; none without the option. */
export function sourceBody({ source }: { readonly source?: string }): { sourceAddress?: string | null } {
  if (source === undefined) return {};
  if (!["keep", "gateway", "auto"].includes(source)) throw usage(`--source takes keep, gateway or auto, not ${source}`);
  return { sourceAddress: source === "auto" ? null : source };
}
