import type { PortreeveRecord } from "../../events/index.ts";

export const claimName = (mappingId: string, claimKey: string): string => `${mappingId} ${claimKey}`;

/**
 * The UDP ports that renewals came from last. A claim's event has the port of its first request; a renewal is no event
 * and may come from another, and Mapping Updates go to the last (RFC 6887 §14.2). As many as there are claims.
 */
export class ClientPorts {
  readonly #ports = new Map<string, number>();

  heard(mappingId: string, claimKey: string, port: number): void {
    this.#ports.set(claimName(mappingId, claimKey), port);
  }

  portOf(mappingId: string, claimKey: string): number | null {
    return this.#ports.get(claimName(mappingId, claimKey)) ?? null;
  }

  /** Forgets the claims that ended. */
  follow(records: readonly PortreeveRecord[]): void {
    for (const { event } of records) {
      if (event.type !== "lease.released" && event.type !== "lease.expired") continue;
      this.#ports.delete(claimName(event.data.mappingId, event.data.claimKey));
    }
  }
}
