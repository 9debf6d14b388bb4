import type { PortreeveRecord } from "../events/index.ts";
import { tableGet, tableRows } from "../lib/table.ts";
import type { Deadlines, LeaseRef, Renewal } from "../reducers/deadlines.ts";
import { recordWithId } from "../reducers/dns-record.ts";
import type { State } from "../reducers/state.ts";

/** Entries of leases that are gone wait in the heap for their time, a day at most; so many for each that is there. */
const STALE_PER_LEASE_MAX = 2;
const STALE_FREE = 1024;

/** After a clean stop a lease that would end during or just after the restart lives at most this much longer. */
const GRACE_AFTER_CLEAN_STOP_MS = 20 * 60_000;

interface Lease {
  readonly ref: LeaseRef;
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

/** What of a claim or of a record makes a lease. */
interface Term {
  readonly lifetime: number | null;
  readonly expiresAt: number | null;
}

const claimRef = (mappingId: string, claimKey: string): LeaseRef => ({ mappingId, claimKey });
const keyOf = (ref: LeaseRef): string => ("recordId" in ref ? ref.recordId : `${ref.mappingId} ${ref.claimKey}`);

/**
 * The live deadlines of all claims and records that have an end. Renewals move them here and nowhere else, which is why they cost
 * no log. Bounded by those in the state; the heap is made anew when most of it is of leases that are gone.
 */
export class LeaseBook implements Deadlines {
  readonly #leases = new Map<string, Lease>();
  #heap: Due[] = [];

  /** Takes up the leases of a replayed state under the rule for a restart at `now`. */
  restore({ mappings, names, run }: Pick<State, "mappings" | "names" | "run">, now: number): void {
    for (const [ref, term] of leasesIn(mappings, names)) {
      const lease = this.#put(ref, term);
      if (lease === null) continue;
      const grace = run.stopped ? Math.min(lease.lifetimeMs, GRACE_AFTER_CLEAN_STOP_MS) : lease.lifetimeMs;
      this.#move(lease, Math.max(lease.logged, now + grace));
    }
  }

  /** Follows what was committed. */
  apply(state: State, records: readonly PortreeveRecord[]): void {
    for (const { event } of records) {
      switch (event.type) {
        case "mapping.granted":
          this.#put(claimRef(event.data.id, event.data.claim.key), event.data.claim);
          break;
        case "lease.granted":
          this.#put(claimRef(event.data.mappingId, event.data.claim.key), event.data.claim);
          break;
        case "mapping.restored":
          // What of it is there may have been renewed since; the rest comes back with the end it had.
          for (const claim of event.data.claims) {
            const ref = claimRef(event.data.id, claim.key);
            if (!this.#leases.has(keyOf(ref))) this.#put(ref, claim);
          }
          break;
        case "lease.changed":
          this.#reread(state, claimRef(event.data.mappingId, event.data.claimKey));
          break;
        case "leases.renewed":
          for (const { mappingId, claimKey, expiresAt } of event.data.deadlines) {
            this.#logged(claimRef(mappingId, claimKey), expiresAt);
          }
          break;
        case "records.renewed":
          for (const { id: recordId, expiresAt } of event.data.deadlines) this.#logged({ recordId }, expiresAt);
          break;
        case "record.added":
          this.#put({ recordId: event.data.id }, event.data);
          break;
        case "record.removed":
          this.#leases.delete(event.data.id);
          break;
        case "dns.updated":
          for (const id of event.data.removed) this.#leases.delete(id);
          for (const { id: recordId } of event.data.added) this.#put({ recordId }, event.data);
          for (const { id: recordId } of event.data.retimed) this.#reread(state, { recordId });
          break;
        case "lease.released":
        case "lease.expired":
          this.#leases.delete(keyOf(claimRef(event.data.mappingId, event.data.claimKey)));
          break;
        default:
      }
    }
  }

  /** Gives the renewal that would undo it; null if there is no such lease. */
  renew(renewal: Renewal): Renewal | null {
    const lease = this.#leases.get(keyOf(renewal));
    if (lease === undefined) return null;
    const before: Renewal = { ...lease.ref, expiresAt: lease.deadline };
    this.#move(lease, renewal.expiresAt);
    return before;
  }

  deadlineOf(mappingId: string, claimKey: string): number | null {
    return this.#leases.get(keyOf(claimRef(mappingId, claimKey)))?.deadline ?? null;
  }

  recordDeadline(id: string): number | null {
    return this.#leases.get(id)?.deadline ?? null;
  }

  /** Gateway time of the next deadline, or null. */
  next(): number | null {
    while (this.#heap[0] !== undefined && this.#stale(this.#heap[0])) this.#pop();
    return this.#heap[0]?.at ?? null;
  }

  due(now: number): LeaseRef[] {
    const due = new Set<Lease>();
    while (this.#heap[0] !== undefined && this.#heap[0].at <= now) {
      const top = this.#pop() as Due;
      if (!this.#stale(top)) due.add(top.lease);
    }
    // They stay due until an event ends them: a failed append must find them again.
    for (const lease of due) this.#push({ at: lease.deadline, lease });
    return [...due].map(({ ref }) => ref);
  }

  moved(all: boolean): Renewal[] {
    const moved: Renewal[] = [];
    for (const { ref, deadline, logged, lifetimeMs } of this.#leases.values()) {
      if (all ? deadline === logged : deadline - logged <= lifetimeMs / 4) continue;
      moved.push({ ...ref, expiresAt: deadline });
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

  #put(ref: LeaseRef, { lifetime, expiresAt }: Term): Lease | null {
    if (expiresAt === null || lifetime === null) return null;
    const lease: Lease = { ref, logged: expiresAt, deadline: expiresAt, lifetimeMs: lifetime * 1000 };
    this.#leases.set(keyOf(ref), lease);
    this.#push({ at: expiresAt, lease });
    if (this.#heap.length > STALE_FREE + STALE_PER_LEASE_MAX * this.#leases.size) this.#sweep();
    return lease;
  }

  #sweep(): void {
    const due = Array.from(this.#leases.values(), (lease) => ({ at: lease.deadline, lease }));
    // What is sorted is a heap.
    this.#heap = due.sort((a, b) => a.at - b.at);
  }

  #logged(ref: LeaseRef, expiresAt: number): void {
    const lease = this.#leases.get(keyOf(ref));
    if (lease !== undefined) lease.logged = expiresAt;
  }

  #reread(state: State, ref: LeaseRef): void {
    const term = termOf(state, ref);
    this.#leases.delete(keyOf(ref));
    if (term !== undefined) this.#put(ref, term);
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
    if (this.#leases.get(keyOf(lease.ref)) !== lease) return true;
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

function termOf(state: State, ref: LeaseRef): Term | undefined {
  if ("recordId" in ref) return recordWithId(state, ref.recordId)?.record;
  return tableGet(state.mappings, ref.mappingId)?.claims.find(({ key }) => key === ref.claimKey);
}

function* leasesIn(mappings: State["mappings"], names: State["names"]): Generator<[LeaseRef, Term]> {
  for (const { id, claims } of tableRows(mappings)) for (const claim of claims) yield [claimRef(id, claim.key), claim];
  for (const { records } of tableRows(names)) for (const record of records) yield [{ recordId: record.id }, record];
}
