import type { Seq } from "../../events/envelope.ts";
import type { Desired, ReconcileError, RowStatus, StatusKind } from "../contract.ts";
import { sameDesired } from "../same-row.ts";

/** What a failure was about: that the row be so, or that it be gone. Another subject starts with a clean slate. */
export type Subject = Desired<unknown> | "deletion";

interface Failure {
  readonly subject: Subject;
  readonly error: ReconcileError;
  readonly retryAt: number | null;
}

/** The status of every row, and which of them fail. */
export class StatusBook {
  readonly #rows = new Map<string, RowStatus>();
  readonly #failures = new Map<string, Failure>();

  get(key: string): RowStatus | undefined {
    return this.#rows.get(key);
  }

  /** A copy: which rows fail now, and how. */
  errors(): ReadonlyMap<string, ReconcileError> {
    const errors = new Map<string, ReconcileError>();
    for (const [key, failure] of this.#failures) errors.set(key, failure.error);
    return errors;
  }

  get errorsCurrent(): number {
    return this.#failures.size;
  }

  /** The target was last seen as this revision wants it. */
  isDone(row: Desired<unknown>): boolean {
    const status = this.#rows.get(row.key);
    return status?.kind === "done" && status.revision === row.revision;
  }

  fails(key: string, subject: Subject): boolean {
    return sameSubject(this.#failures.get(key)?.subject, subject);
  }

  /** It failed, nothing about it changed since, and it is not yet time to try again (for a terminal error: never). */
  inBackoff(key: string, subject: Subject, now: number): boolean {
    const failure = this.#failures.get(key);
    if (failure === undefined || !sameSubject(failure.subject, subject)) return false;
    return failure.retryAt === null || failure.retryAt > now;
  }

  /** Failures in a row about this subject. */
  attempts(key: string, subject: Subject): number {
    return this.fails(key, subject) ? (this.#rows.get(key)?.attempts ?? 0) : 0;
  }

  done(row: Desired<unknown>, now: number): void {
    this.#failures.delete(row.key);
    if (!this.isDone(row)) this.#set(row.key, "done", row.revision, now);
  }

  /** Wanted, and not tried yet. */
  pending(row: Desired<unknown>, now: number): void {
    this.#failures.delete(row.key);
    this.#set(row.key, "pending", row.revision, now);
  }

  failed(key: string, subject: Subject, error: ReconcileError, retryAt: number | null, now: number): void {
    const attempts = this.attempts(key, subject) + 1;
    const before = this.#rows.get(key);
    this.#failures.set(key, { subject, error, retryAt });
    this.#rows.set(key, {
      kind: "error",
      revision: subject === "deletion" ? 0 : subject.revision,
      attempts,
      retryAt,
      error,
      since: before?.kind === "error" ? before.since : now,
    });
  }

  /** Neither wanted nor there. */
  forget(key: string): void {
    this.#rows.delete(key);
    this.#failures.delete(key);
  }

  forgetExcept(keep: (key: string) => boolean): void {
    for (const key of this.#rows.keys()) if (!keep(key)) this.forget(key);
  }

  /** When the first failing row wants its next try. */
  get nextRetryAt(): number | null {
    let next: number | null = null;
    for (const { retryAt } of this.#failures.values()) {
      if (retryAt !== null && (next === null || retryAt < next)) next = retryAt;
    }
    return next;
  }

  #set(key: string, kind: StatusKind, revision: Seq, now: number): void {
    const before = this.#rows.get(key);
    const since = before?.kind === kind ? before.since : now;
    this.#rows.set(key, { kind, revision, attempts: 0, retryAt: null, error: null, since });
  }
}

function sameSubject(one: Subject | undefined, other: Subject): boolean {
  return one === "deletion" || other === "deletion" ? one === other : sameDesired(one, other);
}
