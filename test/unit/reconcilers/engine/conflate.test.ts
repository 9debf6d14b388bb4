import { Subject } from "rxjs";
import { describe, expect, it } from "vitest";
import { conflateMap } from "../../../../src/reconcilers/engine/conflate.ts";

function setUp() {
  const source = new Subject<number>();
  const begun: number[] = [];
  const results: number[] = [];
  const ends: (() => void)[] = [];
  let completed = false;
  let failure: unknown = null;
  const subscription = source
    .pipe(
      conflateMap((value) => {
        begun.push(value);
        return new Promise<number>((resolve) => ends.push(() => resolve(value * 10)));
      }),
    )
    .subscribe({
      next: (value) => results.push(value),
      error: (error: unknown) => {
        failure = error;
      },
      complete: () => {
        completed = true;
      },
    });
  const end = async (index: number): Promise<void> => {
    ends[index]?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { source, begun, results, end, subscription, completed: () => completed, failure: () => failure };
}

describe("conflateMap", () => {
  it("runs 1 and then 4 when 2, 3 and 4 arrive while 1 runs", async () => {
    const { source, begun, results, end } = setUp();
    for (const value of [1, 2, 3, 4]) source.next(value);
    expect(begun).toEqual([1]);
    await end(0);
    expect(begun).toEqual([1, 4]);
    await end(1);
    expect(begun).toEqual([1, 4]);
    expect(results).toEqual([10, 40]);
  });

  it("runs what arrives when nothing runs at once", async () => {
    const { source, begun, end } = setUp();
    source.next(1);
    await end(0);
    source.next(2);
    expect(begun).toEqual([1, 2]);
  });

  it("runs the last value even if the source has ended, and only then completes", async () => {
    const { source, begun, end, completed } = setUp();
    source.next(1);
    source.next(2);
    source.complete();
    await end(0);
    expect(begun).toEqual([1, 2]);
    expect(completed()).toBe(false);
    await end(1);
    expect(completed()).toBe(true);
  });

  it("never nests however often a projection that ends at once asks for another", () => {
    const source = new Subject<number>();
    let last = 0;
    source.pipe(conflateMap((value) => [value])).subscribe((value) => {
      last = value;
      if (value < 100_000) source.next(value + 1);
    });
    source.next(1);
    expect(last).toBe(100_000);
  });

  it("passes on what a projection throws", () => {
    const source = new Subject<number>();
    const errors: unknown[] = [];
    const bad = conflateMap<number, number>(() => {
      throw new Error("no");
    });
    source.pipe(bad).subscribe({ error: (error: unknown) => errors.push(error) });
    source.next(1);
    expect(errors).toEqual([new Error("no")]);
  });

  it("starts nothing after it was unsubscribed", async () => {
    const { source, begun, end, subscription } = setUp();
    source.next(1);
    source.next(2);
    subscription.unsubscribe();
    await end(0);
    expect(begun).toEqual([1]);
  });
});
