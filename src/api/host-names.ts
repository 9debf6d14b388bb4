import { isIP, isIPv6 } from "node:net";
import { plainAddress } from "./auth/client-address.ts";

/** What a Host or Origin header may be made of: nothing that a URL parser would take for a path, a user, a query. */
const HOST = /^[A-Za-z0-9._:[\]-]{1,255}$/;

const LOOPBACK_NAMES = ["localhost", "127.0.0.1", "[::1]"];

export interface HostNamesOptions {
  readonly scheme: "http" | "https";
  readonly listenHost: string;
  readonly port: number;
  /** From the configuration: "gw.example.org", "gw.example.org:443". */
  readonly configured: readonly string[];
  /** Addresses by which the gateway is known besides those of its interfaces. */
  readonly external: () => readonly string[];
}

/**
 * The names this listener answers to. A page on another name that resolves to us (DNS rebinding, CVE-2022-21703 is one
 * of many) is told that it is in the wrong place; a literal can't be rebound, so the address a connection came to is good.
 */
export class HostNames {
  readonly #options: HostNamesOptions;
  readonly #fixed: ReadonlySet<string>;

  constructor(options: HostNamesOptions) {
    const { listenHost, configured } = options;
    this.#options = options;
    const named = isWildcard(listenHost) ? configured : [...configured, listenHost];
    this.#fixed = new Set(named.flatMap((name) => this.#canonical(withPort(name, options.port)) ?? []));
  }

  /** `localAddress`: the one the connection came to. */
  isOurs(host: string, localAddress: string): boolean {
    const given = this.#canonical(host);
    if (given === null) return false;
    if (this.#fixed.has(given)) return true;
    const local = plainAddress(localAddress);
    const names = [literal(local), ...this.#options.external().map(literal)];
    if (isLoopback(local)) names.push(...LOOPBACK_NAMES);
    return names.some((name) => this.#canonical(withPort(name, this.#options.port)) === given);
  }

  isOurOrigin(origin: string, localAddress: string): boolean {
    const start = `${this.#options.scheme}://`;
    return origin.startsWith(start) && this.isOurs(origin.slice(start.length), localAddress);
  }

  /** Where to send people. */
  get url(): string {
    const { scheme, listenHost, port, configured, external } = this.#options;
    const name = configured[0] ?? (isWildcard(listenHost) ? (external()[0] ?? "localhost") : listenHost);
    return `${scheme}://${this.#canonical(withPort(name, port)) ?? ""}`;
  }

  /** As browsers write it: lower case, without the scheme's own port, addresses in their short form. */
  #canonical(host: string): string | null {
    if (!HOST.test(host)) return null;
    const url = `${this.#options.scheme}://${host}`;
    return URL.canParse(url) ? new URL(url).host : null;
  }
}

export const isWildcard = (host: string): boolean => host === "0.0.0.0" || host === "::";

export const isLoopback = (address: string): boolean => address === "::1" || address.startsWith("127.");

export const literal = (host: string): string => (isIPv6(host) ? `[${host}]` : host);

function withPort(name: string, port: number): string {
  if (isIP(name) !== 0) return `${literal(name)}:${port}`;
  return /:\d+$/.test(name) ? name : `${name}:${port}`;
}
