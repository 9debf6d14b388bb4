/** How a query was answered: for `dns ask` and metrics. */
export type Resolution =
  /** Never forwarded: a special name, or a query that is none for others. */
  | { readonly kind: "local"; readonly why: string }
  | { readonly kind: "refused"; readonly why: string }
  | { readonly kind: "cached"; readonly ageSeconds: number; readonly stale: boolean }
  | { readonly kind: "forwarded"; readonly upstream: string; readonly ms: number; readonly shared: boolean }
  | { readonly kind: "blocked"; readonly upstream: string; readonly address: string }
  | { readonly kind: "failed"; readonly reasons: readonly string[]; readonly remembered: boolean };

export interface ResolveHow {
  readonly transport: "udp" | "tcp";
  /** Called once, before the reply is there. */
  readonly onResolved?: ((resolution: Resolution) => void) | undefined;
}

export interface ForwarderCounters {
  readonly local: number;
  readonly refused: number;
  readonly cached: number;
  readonly stale: number;
  readonly forwarded: number;
  readonly blocked: number;
  readonly failed: number;
  readonly prefetched: number;
}

/** How many were answered how. */
export class ResolutionCounters {
  readonly #counts = { local: 0, refused: 0, cached: 0, stale: 0, forwarded: 0, blocked: 0, failed: 0, prefetched: 0 };

  get counts(): ForwarderCounters {
    return { ...this.#counts };
  }

  note(resolution: Resolution): void {
    if (resolution.kind === "cached" && resolution.stale) this.#counts.stale += 1;
    else this.#counts[resolution.kind] += 1;
  }

  prefetched(): void {
    this.#counts.prefetched += 1;
  }
}
