import { parseIpv4 } from "./ip.ts";
import { formatIpv6, parseIpv6 } from "./ipv6.ts";

/** A name as the DNS and resolvers take it; underscores too, as some networks have them. */
export const HOST_NAME = /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*$/;
const PORT = /^[1-9]\d{0,4}$/;

/** "vpn.example.net:51820", "[fd00::1]:51820". */
export function parseEndpoint(text: string): string | null {
  const colon = text.lastIndexOf(":");
  const [host, port] = [text.slice(0, Math.max(colon, 0)), text.slice(colon + 1)];
  if (!PORT.test(port) || Number(port) > 65535) return null;
  if (host.startsWith("[") && host.endsWith("]")) {
    const groups = parseIpv6(host.slice(1, -1));
    return groups === null ? null : `[${formatIpv6(groups)}]:${port}`;
  }
  // All digits and dots is meant as an address, and then it must be one.
  const valid = /^[\d.]+$/.test(host) ? parseIpv4(host) !== null : HOST_NAME.test(host);
  return valid ? `${host}:${port}` : null;
}

/** "gw.example.org", "[2001:db8::1]:51821": as an endpoint, with this port unless it names one. Null: it is none. */
export function endpointAt(place: string, port: number): string | null {
  const bracketed = place.includes(":") && !place.startsWith("[") ? `[${place}]` : place;
  return parseEndpoint(/(?:^[^:]+|\]):\d+$/.test(place) ? place : `${bracketed}:${port}`);
}
