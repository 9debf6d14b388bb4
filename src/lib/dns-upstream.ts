import { HOST_NAME } from "./endpoint.ts";
import { formatIpv4, parseIpv4 } from "./ip.ts";
import { formatIpv6, parseIpv6 } from "./ipv6.ts";

/** Who is asked what we do not know: a resolver and how to reach it. Addresses are canonical text. */
export type UpstreamServer =
  | { readonly kind: "plain"; readonly address: string; readonly port: number }
  /** RFC 7858; `name` is what its certificate has to be for. */
  | { readonly kind: "tls"; readonly address: string; readonly port: number; readonly name: string }
  /** RFC 8484 over HTTP/2. */
  | {
      readonly kind: "https";
      readonly address: string;
      readonly port: number;
      readonly name: string;
      readonly path: string;
    }
  /** The resolvers that this machine itself has. */
  | { readonly kind: "system" };

/** One entry of a list of upstreams. */
export interface Upstream {
  /** Lower case, without a last dot; empty: for every name. */
  readonly domains: readonly string[];
  readonly server: UpstreamServer;
}

export type ParsedUpstream = { readonly upstream: Upstream } | { readonly fault: string };

const FORMS =
  "an address as in 9.9.9.9 or 9.9.9.9:5353, tls://9.9.9.9#dns.quad9.net, or https://dns.quad9.net/dns-query#9.9.9.9";
/** AdGuard Home's and dnsproxy's way to say it: "[/corp.example/10.in-addr.arpa/]10.0.0.1". */
const WITH_DOMAINS = /^\[\/(.*)\/\](.*)$/;
const PORT = /^[1-9]\d{0,4}$/;

/** Of `ADDR[:PORT]`, `tls://ADDR[:PORT][#NAME]`, `https://NAME[:PORT]/PATH#ADDR` or `system`; a fault is a sentence with the fix. */
export function parseUpstream(text: string): ParsedUpstream {
  const [, list, rest] = WITH_DOMAINS.exec(text) ?? [];
  if (list === undefined && text.startsWith("[/"))
    return { fault: `${text} needs "/]" behind its domains, as in [/corp.example/]10.0.0.1` };
  const domains = list?.split("/").map((domain) => domain.replace(/\.$/, "").toLowerCase()) ?? [];
  const bad = domains.find((domain) => !HOST_NAME.test(domain));
  if (bad !== undefined) return { fault: `"${bad}" is no domain, as in [/corp.example/]10.0.0.1` };
  const server = serverOf(rest ?? text);
  return typeof server === "string" ? { fault: server } : { upstream: { domains, server } };
}

function serverOf(text: string): UpstreamServer | string {
  if (text === "system") return { kind: "system" };
  const scheme = /^([a-z0-9+]+):\/\//i.exec(text)?.[1]?.toLowerCase();
  const rest = scheme === undefined ? text : text.slice(scheme.length + 3);
  if (scheme === undefined || scheme === "udp" || scheme === "tcp") {
    if (scheme !== undefined)
      return `${text}: plain upstreams are asked by UDP, and by TCP where that is needed; write ${rest}`;
    const place = placeOf(rest, 53);
    return place === null ? plainFault(text) : { kind: "plain", ...place };
  }
  if (scheme === "tls") return tlsServer(text, rest);
  if (scheme === "https") return httpsServer(text);
  return `${text} is of a kind that is not known: it has to be ${FORMS}`;
}

function plainFault(text: string): string {
  if (!HOST_NAME.test(text) || /^[\d.]+$/.test(text)) return `${text} is no upstream: it has to be ${FORMS}`;
  return `${text} is a name, which would have to be resolved first: give its address, as in 9.9.9.9`;
}

function tlsServer(text: string, rest: string): UpstreamServer | string {
  const [where = "", name, ...more] = rest.split("#");
  const place = placeOf(where, 853);
  if (place === null) {
    const example = HOST_NAME.test(where) && !/^[\d.]+$/.test(where) ? where : "dns.quad9.net";
    return `${text} needs the address, so that nothing has to be resolved first: tls://ADDRESS#${example}`;
  }
  const said = name ?? place.address;
  if (more.length > 0 || !isHost(said))
    return `${text} needs the name of the certificate behind "#", as in tls://9.9.9.9#dns.quad9.net`;
  return { kind: "tls", ...place, name: said };
}

function httpsServer(text: string): UpstreamServer | string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.username !== "" || url.password !== "" || url.search !== "") {
    return `${text} is no URL of a resolver, as in https://dns.quad9.net/dns-query#9.9.9.9`;
  }
  const name = url.hostname.replace(/^\[|\]$/g, "");
  const given = url.hash === "" ? name : url.hash.slice(1);
  const address = addressOf(given);
  if (address === null)
    return `${text} needs the address, so that nothing has to be resolved first: ${url.origin}${url.pathname}#ADDRESS`;
  if (url.pathname === "/") return `${text} needs the path, most often /dns-query: ${url.origin}/dns-query#${address}`;
  return { kind: "https", address, port: url.port === "" ? 443 : Number(url.port), name, path: url.pathname };
}

const isHost = (text: string): boolean => addressOf(text) !== null || (HOST_NAME.test(text) && !/^[\d.]+$/.test(text));

/** Canonical text; of a link-local IPv6 address with its interface ("fe80::1%lan0"). */
function addressOf(text: string): string | null {
  const v4 = parseIpv4(text);
  if (v4 !== null) return formatIpv4(v4);
  const [address = "", zone, ...more] = text.split("%");
  const groups = more.length > 0 || zone === "" || (zone?.length ?? 0) > 15 ? null : parseIpv6(address);
  if (groups === null) return null;
  return zone === undefined ? formatIpv6(groups) : `${formatIpv6(groups)}%${zone}`;
}

/** "9.9.9.9", "9.9.9.9:5353", "2620:fe::fe", "[2620:fe::fe]:5353". */
function placeOf(text: string, port: number): { readonly address: string; readonly port: number } | null {
  const bare = addressOf(text);
  if (bare !== null) return { address: bare, port };
  const [, v6, v4, digits] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(text) ?? [];
  const address = addressOf(v6 ?? v4 ?? "");
  if (address === null || (digits !== undefined && (!PORT.test(digits) || Number(digits) > 65535))) return null;
  return { address, port: digits === undefined ? port : Number(digits) };
}

/** A fault in a list, or null: each entry by itself, and that something answers every name. */
export function upstreamsFault(texts: readonly string[]): string | null {
  const parsed = texts.map(parseUpstream);
  for (const each of parsed) if ("fault" in each) return each.fault;
  if (hasGeneralUpstream(texts)) return null;
  return "there is no upstream for all names: add one without [/domain/], or system";
}

/** What answers names that are in no domain with upstreams of its own; a faulty entry may have been meant so. */
export function hasGeneralUpstream(texts: readonly string[]): boolean {
  return texts.map(parseUpstream).some((each) => "fault" in each || each.upstream.domains.length === 0);
}

/** As it is shown, and as two are compared by; the port only where it is not the usual one. */
export function upstreamText(server: UpstreamServer): string {
  if (server.kind === "system") return "system";
  const usual = { plain: 53, tls: 853, https: 443 }[server.kind];
  const host = (address: string): string => (address.includes(":") ? `[${address}]` : address);
  const port = server.port === usual ? "" : `:${server.port}`;
  if (server.kind === "plain") return port === "" ? server.address : `${host(server.address)}${port}`;
  if (server.kind === "tls") return `tls://${host(server.address)}${port}#${server.name}`;
  return `https://${host(server.name)}${port}${server.path}#${server.address}`;
}

/** The resolvers that a resolv.conf names, none of this host itself, each once (resolv.conf(5)). */
export function resolvConfServers(text: string): string[] {
  const named = text.split("\n").flatMap((line) => {
    const address = addressOf(/^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? "");
    return address === null || isOwnHost(address) ? [] : [address];
  });
  return [...new Set(named)];
}

const isOwnHost = (address: string): boolean =>
  address.startsWith("127.") || address === "::1" || address === "0.0.0.0" || address === "::";
