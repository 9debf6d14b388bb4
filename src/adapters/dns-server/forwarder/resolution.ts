/** How a query was answered: for `dns ask`, the query log, metrics. */
export type Decision =
  /** Never forwarded: the name is one of `special`, or the query is none for others. */
  | { readonly kind: "local"; readonly why: string }
  | { readonly kind: "refused"; readonly why: string }
  | { readonly kind: "cached"; readonly ageSeconds: number; readonly stale: boolean }
  | { readonly kind: "forwarded"; readonly upstream: string; readonly ms: number; readonly shared: boolean }
  | { readonly kind: "blocked"; readonly upstream: string; readonly address: string }
  | { readonly kind: "failed"; readonly reasons: readonly string[]; readonly remembered: boolean };

export interface ResolveHow {
  readonly transport: "udp" | "tcp";
  /** Called once, before the reply is there. */
  readonly onDecision?: ((decision: Decision) => void) | undefined;
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

/** Counts decisions. */
export class DecisionCounters {
  readonly #counts = { local: 0, refused: 0, cached: 0, stale: 0, forwarded: 0, blocked: 0, failed: 0, prefetched: 0 };

  get counts(): ForwarderCounters {
    return { ...this.#counts };
  }

  note(decision: Decision): void {
    if (decision.kind === "cached" && decision.stale) this.#counts.stale += 1;
    else this.#counts[decision.kind] += 1;
  }

  prefetched(): void {
    this.#counts.prefetched += 1;
  }
}
