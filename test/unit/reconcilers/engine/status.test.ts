import { describe, expect, it } from "vitest";
import type { ReconcileError } from "../../../../src/reconcilers/contract.ts";
import { StatusBook } from "../../../../src/reconcilers/engine/status.ts";

const row = (key: string, revision: number) => ({ key, spec: 0, owners: ["x"], revision });
const busy: ReconcileError = { code: "EBUSY", message: "busy", disposition: "transient" };

describe("StatusBook", () => {
  it("keeps `since` while the kind stays, and speaks of the newest revision", () => {
    const book = new StatusBook();
    book.done(row("a", 1), 1000);
    book.done(row("a", 4), 2000);
    expect(book.get("a")).toEqual({ kind: "done", revision: 4, attempts: 0, retryAt: null, error: null, since: 1000 });
    book.pending(row("a", 5), 3000);
    expect(book.get("a")?.since).toBe(3000);
  });

  it("counts failures of one subject in a row and begins again with another", () => {
    const book = new StatusBook();
    book.failed("a", row("a", 1), busy, 1100, 1000);
    book.failed("a", row("a", 1), busy, 1300, 1100);
    expect(book.get("a")).toEqual({ kind: "error", revision: 1, attempts: 2, retryAt: 1300, error: busy, since: 1000 });
    book.failed("a", row("a", 2), busy, 1400, 1300);
    expect(book.get("a")?.attempts).toBe(1);
    book.failed("a", "deletion", busy, 1500, 1400);
    expect(book.get("a")?.attempts).toBe(1);
  });

  it("is in backoff until the hour has come, for good after a terminal error, and never for another subject", () => {
    const book = new StatusBook();
    book.failed("soon", row("soon", 1), busy, 1100, 1000);
    book.failed("never", row("never", 1), { ...busy, disposition: "terminal" }, null, 1000);
    expect(book.inBackoff("soon", row("soon", 1), 1099)).toBe(true);
    expect(book.inBackoff("soon", row("soon", 1), 1100)).toBe(false);
    expect(book.inBackoff("never", row("never", 1), 1e15)).toBe(true);
    expect(book.inBackoff("soon", row("soon", 2), 1000)).toBe(false);
    expect(book.inBackoff("soon", "deletion", 1000)).toBe(false);
    expect(book.nextRetryAt).toBe(1100);
  });

  it("clears an error when the row is done, pending or gone", () => {
    for (const clear of [
      (book: StatusBook) => book.done(row("a", 1), 2000),
      (book: StatusBook) => book.pending(row("a", 2), 2000),
      (book: StatusBook) => book.forget("a"),
      (book: StatusBook) => book.forgetExcept(() => false),
    ]) {
      const book = new StatusBook();
      book.failed("a", row("a", 1), busy, 1100, 1000);
      clear(book);
      expect(book.errorsCurrent).toBe(0);
      expect(book.errors().size).toBe(0);
      expect(book.nextRetryAt).toBeNull();
    }
  });
});
