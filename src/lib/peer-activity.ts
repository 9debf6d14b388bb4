/** What a WireGuard peer did lately: in memory, sampled, never in the log. */
export interface PeerActivity {
  /** Gateway time of the last handshake; null: none yet. */
  readonly handshakeAt: number | null;
  /** Where its last valid packet came from, "198.51.100.7:51820"; null: nowhere yet. */
  readonly endpoint: string | null;
  /** Bytes since we know the peer, through any number of interfaces that were made anew. */
  readonly received: number;
  readonly sent: number;
}

/** Bytes in a span of time. */
export interface TrafficSlot {
  /** Gateway time at which it began. */
  readonly at: number;
  readonly received: number;
  readonly sent: number;
}

export interface PeerHistory {
  readonly slotMs: number;
  /** Oldest first, each slot of the span there is, the last one not full yet. */
  readonly slots: readonly TrafficSlot[];
}

/** How far back a history goes: in steps of 10 s, or of 5 minutes. */
export const TRAFFIC_SPANS = ["quarter-hour", "day"] as const;
export type TrafficSpan = (typeof TRAFFIC_SPANS)[number];

/** Who can tell of the peers of our WireGuard interface; by public key. */
export interface PeerActivitySource {
  activity(publicKey: string): PeerActivity | undefined;
  history(publicKey: string, span: TrafficSpan): PeerHistory | undefined;
}
