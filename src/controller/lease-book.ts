import type { PortreeveRecord } from "../events/index.ts";
import type { Claim } from "../events/mapping.ts";
import { type ReadonlyTable, tableGet, tableRows } from "../lib/table.ts";
import type { Deadlines, Renewal } from "../reducers/decide/command.ts";
import type { Mapping, State } from "../reducers/state.ts";

/** Entries of leases that are gone wait in the heap for their time, a day at most; so many for each that is there. */
const STALE_PER_LEASE_MAX = 2;
const STALE_FREE = 1024;

/** After a clean stop a lease that would end during or just after the restart lives at most this much longer. */
const GRACE_AFTER_CLEAN_STOP_MS = 20 * 60_000;

interface Lease {
  readonly mappingId: string;
  readonly claimKey: string;
  /** As the log has it. */
  logged: number;
  /** Where renewals have moved it; never behind what was promised last. */
  deadline: number;
  readonly lifetimeMs: number;
}

interface Due {
  readonly at: number;
  readonly lease: Lease;
}

const keyOf = (mappingId: string, claimKey: string): string => `${mappingId} ${claimKey}`;

/**
 * The live deadlines of all claims that have an end. Renewals move them here and nowhere else, which is why they cost
 * no log. Bounded by the claims in the state; the heap is made anew when most of it is of leases that are gone.
 */
export class LeaseBook implements Deadlines {
  readonly #leases = new Map<string, Lease>();
  #heap: Due[] = [];

  /** Takes up the claims of a replayed state under the rule for a restart at `now`. */
  restore(mappings: ReadonlyTable<Mapping>, run: State["run"], now: number): void {
    for (const mapping of tableRows(mappings)) {
      for (const claim of mapping.claims) {
        const lease = this.#put(mapping.id, claim);
        if (lease === null) continue;
        const grace = run.stopped ? Math.min(lease.lifetimeMs, GRACE_AFTER_CLEAN_STOP_MS) : lease.lifetimeMs;
        this.#move(lease, Math.max(lease.logged, now + grace));
      }
    }
  }

  /** Follows what was committed. */
  apply(state: State, records: readonly PortreeveRecord[]): void {
    for (const { event } of records) {
      switch (event.type) {
        case "mapping.granted":
          this.#put(event.data.id, event.data.claim);
          break;
        case "lease.granted":
          this.#put(event.data.mappingId, event.data.claim);
          break;
        case "mapping.restored":
          // What of it is there may have been renewed since; the rest comes back with the end it had.
          for (const claim of event.data.claims) {
            if (!this.#leases.has(keyOf(event.data.id, claim.key))) this.#put(event.data.id, claim);
          }
          break;
        case "lease.changed":
          this.#reread(state, event.data.mappingId, event.data.claimKey);
          break;
        case "leases.renewed":
          for (const { mappingId, claimKey, expiresAt } of event.data.deadlines) {
            const lease = this.#leases.get(keyOf(mappingId, claimKey));
            if (lease !== undefined) lease.logged = expiresAt;
          }
          break;
        case "lease.released":
        case "lease.expired":
          this.#leases.delete(keyOf(event.data.mappingId, event.data.claimKey));
          break;
        default:
      }
    }
  }

  /** Gives the renewal that would undo it; null if there is no such lease. */
  renew(renewal: Renewal): Renewal | null {
    const lease = this.#leases.get(keyOf(renewal.mappingId, renewal.claimKey));
    if (lease === undefined) return null;
    const before = { ...renewal, expiresAt: lease.deadline };
    this.#move(lease, renewal.expiresAt);
    return before;
  }

  deadlineOf(mappingId: string, claimKey: string): number | null {
    return this.#leases.get(keyOf(mappingId, claimKey))?.deadline ?? null;
  }

  /** Gateway time of the next deadline, or null. */
  next(): number | null {
    while (this.#heap[0] !== undefined && this.#stale(this.#heap[0])) this.#pop();
    return this.#heap[0]?.at ?? null;
  }

  due(now: number): { mappingId: string; claimKey: string }[] {
    const due = new Set<Lease>();
    while (this.#heap[0] !== undefined && this.#heap[0].at <= now) {
      const top = this.#pop() as Due;
      if (!this.#stale(top)) due.add(top.lease);
    }
    // They stay due until an event ends them: a failed append must find them again.
    for (const lease of due) this.#push({ at: lease.deadline, lease });
    return [...due].map(({ mappingId, claimKey }) => ({ mappingId, claimKey }));
  }

  moved(all: boolean): { mappingId: string; claimKey: string; expiresAt: number }[] {
    const moved: { mappingId: string; claimKey: string; expiresAt: number }[] = [];
    for (const { mappingId, claimKey, deadline, logged, lifetimeMs } of this.#leases.values()) {
      if (all ? deadline === logged : deadline - logged <= lifetimeMs / 4) continue;
      moved.push({ mappingId, claimKey, expiresAt: deadline });
    }
    return moved;
  }

  get size(): number {
    return this.#leases.size;
  }

  /** Entries of the heap, those of leases that are gone included. */
  get entries(): number {
    return this.#heap.length;
  }

  #put(mappingId: string, claim: Claim): Lease | null {
    if (claim.expiresAt === null || claim.lifetime === null) return null;
    const { key: claimKey, expiresAt } = claim;
    const lifetimeMs = claim.lifetime * 1000;
    const lease: Lease = { mappingId, claimKey, logged: expiresAt, deadline: expiresAt, lifetimeMs };
    this.#leases.set(keyOf(mappingId, claimKey), lease);
    this.#push({ at: expiresAt, lease });
    if (this.#heap.length > STALE_FREE + STALE_PER_LEASE_MAX * this.#leases.size) this.#sweep();
    return lease;
  }

  #sweep(): void {
    const due = Array.from(this.#leases.values(), (lease) => ({ at: lease.deadline, lease }));
    // What is sorted is a heap.
    this.#heap = due.sort((a, b) => a.at - b.at);
  }

  #reread(state: State, mappingId: string, claimKey: string): void {
    const claim = tableGet(state.mappings, mappingId)?.claims.find((other) => other.key === claimKey);
    this.#leases.delete(keyOf(mappingId, claimKey));
    if (claim !== undefined) this.#put(mappingId, claim);
  }

  #move(lease: Lease, deadline: number): void {
    if (deadline === lease.deadline) return;
    const earlier = deadline < lease.deadline;
    lease.deadline = deadline;
    // A later deadline needs no entry of its own: the old one, when it comes up, is put back at the new time.
    if (earlier) this.#push({ at: deadline, lease });
  }

  /** Gone, or moved: a moved lease goes back into the heap at its present deadline, once. */
  #stale({ at, lease }: Due): boolean {
    if (this.#leases.get(keyOf(lease.mappingId, lease.claimKey)) !== lease) return true;
    if (lease.deadline === at) return false;
    if (lease.deadline > at) this.#push({ at: lease.deadline, lease });
    return true;
  }

  #push(due: Due): void {
    const heap = this.#heap;
    let index = heap.push(due) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if ((heap[parent] as Due).at <= due.at) break;
      heap[index] = heap[parent] as Due;
      index = parent;
    }
    heap[index] = due;
  }

  #pop(): Due | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && (heap[child + 1] as Due).at < (heap[child] as Due).at) child += 1;
      if ((heap[child] as Due).at >= last.at) break;
      heap[index] = heap[child] as Due;
      index = child;
    }
    heap[index] = last;
    return top;
  }
}
