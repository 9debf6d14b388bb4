import type { Clock } from "../../lib/clock.ts";
import type {
  PeerActivity,
  PeerActivitySource,
  PeerHistory,
  TrafficSlot,
  TrafficSpan,
} from "../../lib/peer-activity.ts";
import type { WireguardDump } from "./dump.ts";

/** A peer that is not there for so long is forgotten: its interface may only be in the making. */
const FORGET_MS = 600_000;
const SPANS: Readonly<Record<TrafficSpan, { readonly slotMs: number; readonly slots: number }>> = {
  "quarter-hour": { slotMs: 10_000, slots: 90 },
  day: { slotMs: 300_000, slots: 288 },
};

/** Bytes of two directions in the newest slots of a span; 8 octets a slot, made when there is something to remember. */
class TrafficRing {
  readonly #slotMs: number;
  readonly #values: Float32Array;
  #newest: number;

  constructor({ slotMs, slots }: (typeof SPANS)[TrafficSpan], at: number) {
    this.#slotMs = slotMs;
    this.#values = new Float32Array(slots * 2);
    this.#newest = Math.floor(at / slotMs);
  }

  get #slots(): number {
    return this.#values.length / 2;
  }

  add(at: number, received: number, sent: number): void {
    const slot = this.#advance(at);
    this.#values[slot * 2] = (this.#values[slot * 2] as number) + received;
    this.#values[slot * 2 + 1] = (this.#values[slot * 2 + 1] as number) + sent;
  }

  list(at: number): TrafficSlot[] {
    this.#advance(at);
    return Array.from({ length: this.#slots }, (_, index) => {
      const number = this.#newest - this.#slots + 1 + index;
      const slot = ((number % this.#slots) + this.#slots) % this.#slots;
      const [received = 0, sent = 0] = this.#values.subarray(slot * 2, slot * 2 + 2);
      return { at: number * this.#slotMs, received, sent };
    });
  }

  /** Empties what lies between the newest slot and this time's; gateway time never goes back. */
  #advance(at: number): number {
    const now = Math.max(this.#newest, Math.floor(at / this.#slotMs));
    const gone = Math.min(now - this.#newest, this.#slots);
    for (let number = now - gone + 1; number <= now; number += 1) {
      const slot = number % this.#slots;
      this.#values.fill(0, slot * 2, slot * 2 + 2);
    }
    this.#newest = now;
    return now % this.#slots;
  }
}

interface Known {
  seenAt: number;
  handshakeAt: number | null;
  endpoint: string | null;
  received: number;
  sent: number;
  /** The kernel's counters at the last look; they start anew with the interface. */
  counters: { readonly received: number; readonly sent: number };
  /** Null until there was traffic. */
  rings: Readonly<Record<TrafficSpan, TrafficRing>> | null;
}

/** What the peers did, from every look at the interface. In memory: 3 kB a peer with traffic, 3 MB for 1,000 devices. */
export class PeerActivityLog implements PeerActivitySource {
  readonly #clock: Pick<Clock, "now">;
  readonly #wallClock: () => number;
  readonly #peers = new Map<string, Known>();

  /** `wallClock`: Unix milliseconds as the kernel stamps handshakes with, which may jump. */
  constructor(clock: Pick<Clock, "now">, wallClock: () => number) {
    this.#clock = clock;
    this.#wallClock = wallClock;
  }

  record({ peers }: WireguardDump): void {
    const now = this.#clock.now();
    const wall = this.#wallClock();
    for (const peer of peers) {
      const known = this.#peers.get(peer.publicKey) ?? newPeer(peer);
      this.#peers.set(peer.publicKey, known);
      const { counters } = known;
      const anew = peer.received < counters.received || peer.sent < counters.sent;
      const received = peer.received - (anew ? 0 : counters.received);
      const sent = peer.sent - (anew ? 0 : counters.sent);
      known.seenAt = now;
      known.counters = { received: peer.received, sent: peer.sent };
      known.received += received;
      known.sent += sent;
      // An interface that was made anew has heard of nobody yet; we have.
      known.endpoint = peer.endpoint ?? known.endpoint;
      if (peer.handshakeAt > 0) known.handshakeAt = Math.min(now, now - (wall - peer.handshakeAt * 1000));
      if (received === 0 && sent === 0) continue;
      known.rings ??= {
        "quarter-hour": new TrafficRing(SPANS["quarter-hour"], now),
        day: new TrafficRing(SPANS.day, now),
      };
      for (const ring of Object.values(known.rings)) ring.add(now, received, sent);
    }
    for (const [publicKey, { seenAt }] of this.#peers) if (seenAt < now - FORGET_MS) this.#peers.delete(publicKey);
  }

  activity(publicKey: string): PeerActivity | undefined {
    const known = this.#peers.get(publicKey);
    if (known === undefined) return undefined;
    const { handshakeAt, endpoint, received, sent } = known;
    return { handshakeAt, endpoint, received, sent };
  }

  history(publicKey: string, span: TrafficSpan): PeerHistory | undefined {
    const known = this.#peers.get(publicKey);
    if (known === undefined) return undefined;
    const now = this.#clock.now();
    return { slotMs: SPANS[span].slotMs, slots: (known.rings?.[span] ?? new TrafficRing(SPANS[span], now)).list(now) };
  }
}

/** What it did before we first saw it happened at some time we do not know: it is in the totals and in no slot. */
const newPeer = ({ received, sent }: { readonly received: number; readonly sent: number }): Known => ({
  seenAt: 0,
  handshakeAt: null,
  endpoint: null,
  received,
  sent,
  counters: { received, sent },
  rings: null,
});
