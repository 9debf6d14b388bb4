/** What has an end: a claim on a mapping, or a record of the DNS. */
export type LeaseRef = { readonly mappingId: string; readonly claimKey: string } | { readonly recordId: string };

/** The live deadline of a lease: the logged one, or where renewals have moved it since. */
export interface Deadlines {
  /** Gateway time in Unix milliseconds; null for a claim without end. */
  deadlineOf(mappingId: string, claimKey: string): number | null;
  recordDeadline(id: string): number | null;
  /** Leases whose deadline is at or before `now`, oldest first. */
  due(now: number): readonly LeaseRef[];
  /** Leases whose live deadline differs from the logged one: all of them, or only by more than a quarter of the lifetime. */
  moved(all: boolean): readonly Renewal[];
}

/** A renewal moves a deadline in memory and is acknowledged from there. */
export type Renewal = LeaseRef & { readonly expiresAt: number };
