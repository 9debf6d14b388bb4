import { unreachable } from "./assert.ts";

/**
 * What our HAProxy is to do: the rows of the reconciler `sni-routes`. `address` is what packets carry: the WAN
 * interface's own address. Keys: "proxy"; `route|address|port|name`; `fallback|address|port`; `redirect|address`.
 */
export type SniRow = ProxyRow | SniRouteRow | SniFallbackRow | HttpsRedirectRow;

/** There while anything else is: without it HAProxy does not run. */
export interface ProxyRow {
  readonly kind: "proxy";
  readonly instanceId: string;
  /**
   * Served networks whose hosts reach each other without the gateway, sorted. Between two of one network the target sees
   * the gateway's address: it would answer the client directly, which never asked it.
   */
  readonly segments: readonly string[];
}

/** Whom a target sees: the client, or, where its answers to strangers would go another way, the gateway. */
interface Towards {
  readonly toAddress: string;
  readonly toPort: number;
  readonly source: "keep" | "gateway";
}

export interface SniRouteRow extends Towards {
  readonly kind: "route";
  readonly address: string;
  readonly port: number;
  /** Lower case, without the last dot; `*.` and a name: one label more than that name. */
  readonly name: string;
}

/** Where all else of a shared port goes, TLS or not. */
export interface SniFallbackRow extends Towards {
  readonly kind: "fallback";
  readonly address: string;
  readonly port: number;
}

/** Port 80: the same host and path, by HTTPS. */
export interface HttpsRedirectRow {
  readonly kind: "redirect";
  readonly address: string;
}

export function sniRowKey(row: SniRow): string {
  switch (row.kind) {
    case "proxy":
      return "proxy";
    case "route":
      return `route|${row.address}|${row.port}|${row.name}`;
    case "fallback":
      return `fallback|${row.address}|${row.port}`;
    case "redirect":
      return `redirect|${row.address}`;
    default:
      return unreachable(row);
  }
}
