import type { IncomingMessage } from "node:http";
import { isIPv6 } from "node:net";

const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** Where a request came from, canonical: a dual-stack socket shows IPv4 as ::ffff:192.0.2.1, and link-local ones have a zone. */
export function clientAddress(raw: IncomingMessage): string {
  return plainAddress(raw.socket.remoteAddress ?? "unknown");
}

export function plainAddress(address: string): string {
  const withoutZone = address.replace(/%.*$/, "");
  return MAPPED.exec(withoutZone)?.[1] ?? withoutZone.toLowerCase();
}

/** Whose tries are counted together: an IPv4 address, or a /64, of which one host has all addresses it likes (RFC 4291 §2.5.4). */
export function neighbourhood(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = "", tail] = address.split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros =
    tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => "0");
  const network = [...before, ...zeros, ...after].slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${network.join(":")}::/64`;
}
