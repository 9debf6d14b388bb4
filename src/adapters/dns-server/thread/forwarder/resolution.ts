/** How a query was answered: for `dns ask` and metrics. */
export type Resolution =
  /** Never forwarded: a special name, or a query that is none for others. */
  | { readonly kind: "local"; readonly why: string }
  | { readonly kind: "refused"; readonly why: string }
  | { readonly kind: "cached"; readonly ageSeconds: number; readonly stale: boolean }
  | { readonly kind: "forwarded"; readonly upstream: string; readonly ms: number; readonly shared: boolean }
  | { readonly kind: "blocked"; readonly upstream: string; readonly address: string }
  | { readonly kind: "limited" }
  | { readonly kind: "failed"; readonly reasons: readonly string[]; readonly remembered: boolean };

export interface ResolveHow {
  readonly transport: "udp" | "tcp";
  /** False: the client has its share of queries under way, and nobody is asked for it. */
  readonly mayWait?: boolean | undefined;
  /** Called once, before the reply is there. */
  readonly onResolved?: ((resolution: Resolution) => void) | undefined;
}
