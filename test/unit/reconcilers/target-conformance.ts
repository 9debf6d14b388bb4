import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Change, Desired, Plan, Target } from "../../../src/reconcilers/contract.ts";

/** A target on trial, with what the suite must know to try it. Opened empty for each test. */
export interface TargetSubject<Spec, Obs> {
  readonly target: Target<Spec, Obs>;
  readonly matches: (spec: Spec, observed: Obs) => boolean;
  /** Applied before everything else and never examined: what the rows need to exist in. */
  readonly ground: readonly Desired<Spec>[];
  /** At least three rows that can exist together. */
  readonly rows: readonly Desired<Spec>[];
  /** Another spec for the first row, which the first spec does not match. */
  readonly changedFirst: Desired<Spec>;
  /** A row that can exist only when the first one is gone. */
  readonly rivalOfFirst?: Desired<Spec>;
  /** A row the target refuses. */
  readonly refused?: Desired<Spec>;
  /** Removes the first row behind the target's back. */
  tamper(): Promise<void>;
  /** Everything there that is not ours, as text; make some. */
  foreign(): Promise<string>;
  close(): Promise<void>;
}

/** What this target has beside what every target must have: each true one brings the tests of its promise. */
export interface TargetTraits {
  /** `unchanged` and `expected`. */
  readonly vouches: boolean;
  /** `watch`. */
  readonly watches: boolean;
  /** Rows that exclude each other (`rivalOfFirst`). */
  readonly rivals: boolean;
  /** Rows it refuses (`refused`). */
  readonly refuses: boolean;
}

/** How long a target may take to notice that someone else was there. */
const NOTICE_WITHIN_MS = 1000;

/** What `contract.ts` says of every target, whatever is behind it. */
export function describeTargetConformance<Spec, Obs>(
  name: string,
  traits: TargetTraits,
  open: () => Promise<TargetSubject<Spec, Obs>>,
): void {
  describe(`${name} keeps the contract of a target`, () => {
    const { signal } = new AbortController();
    let subject: TargetSubject<Spec, Obs>;
    let first: Desired<Spec>;

    const create = (desired: Desired<Spec>): Change<Spec, Obs> => ({ op: "create", key: desired.key, desired });
    const apply = async (plan: Plan<Spec, Obs>): Promise<string[]> => {
      const outcomes = await subject.target.apply(plan, signal);
      expect(outcomes.map((outcome) => outcome.key).sort()).toEqual(plan.map((change) => change.key).sort());
      return outcomes.filter((outcome) => !outcome.ok).map((outcome) => outcome.key);
    };
    /** Which of the examined rows are there and right. */
    const present = async (rows: readonly Desired<Spec>[]): Promise<string[]> => {
      const observed = await subject.target.observe(signal);
      const right = rows.filter((row) => {
        const found = observed.get(row.key);
        return found !== undefined && subject.matches(row.spec, found);
      });
      return right.map((row) => row.key);
    };
    const observedFirst = async (): Promise<Obs> => {
      const found = (await subject.target.observe(signal)).get(first.key);
      expect(found, "the first row is there").toBeDefined();
      return found as Obs;
    };
    const keysOf = (rows: readonly Desired<Spec>[]): string[] => rows.map((row) => row.key);

    beforeEach(async () => {
      subject = await open();
      first = subject.rows[0] as Desired<Spec>;
      expect(subject.rows.length).toBeGreaterThanOrEqual(3);
      if (subject.ground.length > 0) expect(await apply(subject.ground.map(create))).toEqual([]);
      await subject.target.observe(signal);
    });
    afterEach(() => subject.close());

    it("observes nothing of the rows before they are made", async () => {
      const observed = await subject.target.observe(signal);
      expect([...observed.keys()].sort()).toEqual(keysOf(subject.ground).sort());
    });

    it("creates rows that are then observed as wanted", async () => {
      expect(await apply(subject.rows.map(create))).toEqual([]);
      expect(await present(subject.rows)).toEqual(keysOf(subject.rows));
    });

    if (traits.vouches) {
      it("predicts with `expected` what it will observe", async () => {
        await apply(subject.rows.map(create));
        const expected = subject.target.expected?.bind(subject.target);
        if (expected === undefined) throw new Error("the traits say that it vouches");
        const observed = await subject.target.observe(signal);
        for (const row of subject.rows) {
          expect(subject.matches(row.spec, expected(row.spec)), row.key).toBe(true);
          expect(subject.matches(row.spec, observed.get(row.key) as Obs), row.key).toBe(true);
        }
        expect(subject.matches(first.spec, expected(subject.changedFirst.spec))).toBe(false);
      });
    }

    it("updates a row in place and leaves the others", async () => {
      await apply(subject.rows.map(create));
      const { changedFirst } = subject;
      const observed = await observedFirst();
      expect(await apply([{ op: "update", key: first.key, desired: changedFirst, observed }])).toEqual([]);
      expect(await present([first])).toEqual([]);
      expect(await present([changedFirst, ...subject.rows.slice(1)])).toEqual(keysOf(subject.rows));
    });

    it("can repeat creates, updates and deletes it has already done", async () => {
      await apply(subject.rows.map(create));
      expect(await apply(subject.rows.map(create))).toEqual([]);
      const observed = await observedFirst();
      const update: Change<Spec, Obs> = { op: "update", key: first.key, desired: subject.changedFirst, observed };
      expect(await apply([update])).toEqual([]);
      expect(await apply([update])).toEqual([]);
      expect(await present([subject.changedFirst])).toEqual([first.key]);
      const deletion: Change<Spec, Obs> = { op: "delete", key: first.key, observed };
      expect(await apply([deletion])).toEqual([]);
      expect(await apply([deletion])).toEqual([]);
      expect(await present(subject.rows)).toEqual(keysOf(subject.rows.slice(1)));
    });

    it("updates a row that has vanished since it was observed", async () => {
      await apply(subject.rows.map(create));
      const observed = await observedFirst();
      await subject.tamper();
      expect(await apply([{ op: "update", key: first.key, desired: subject.changedFirst, observed }])).toEqual([]);
      expect(await present([subject.changedFirst])).toEqual([first.key]);
    });

    if (traits.rivals) {
      it("lets a row take another's place in one plan", async () => {
        const rival = subject.rivalOfFirst as Desired<Spec>;
        await apply(subject.rows.map(create));
        const observed = await observedFirst();
        expect(await apply([{ op: "delete", key: first.key, observed }, create(rival)])).toEqual([]);
        expect(await present([rival])).toEqual([rival.key]);
      });
    }

    if (traits.refuses) {
      it("lets a refused row sink alone", async () => {
        const refused = subject.refused as Desired<Spec>;
        expect(await apply([...subject.rows, refused].map(create))).toEqual([refused.key]);
        expect(await present(subject.rows)).toEqual(keysOf(subject.rows));
        expect(await present([refused])).toEqual([]);
      });
    }

    it("has nothing to do for an empty plan", async () => {
      expect(await subject.target.apply([], signal)).toEqual([]);
    });

    it("never touches what is not ours", async () => {
      const before = await subject.foreign();
      expect(before).not.toBe("");
      await apply(subject.rows.map(create));
      const observed = await observedFirst();
      await apply([{ op: "delete", key: first.key, observed }]);
      expect(await subject.foreign()).toBe(before);
    });

    if (traits.vouches) {
      it("vouches for itself through its own applies, and not after someone else's change", async () => {
        const { target } = subject;
        if (target.unchanged === undefined) throw new Error("the traits say that it vouches");
        expect(target.unchanged()).toBe(true);
        await apply(subject.rows.map(create));
        expect(target.unchanged()).toBe(true);
        await subject.tamper();
        await expect.poll(() => target.unchanged?.(), { timeout: NOTICE_WITHIN_MS, interval: 5 }).toBe(false);
        await target.observe(signal);
        expect(target.unchanged()).toBe(true);
      });
    }

    if (traits.watches) {
      it("reports who changed it behind our back, and is silent about ourselves", async () => {
        if (subject.target.watch === undefined) throw new Error("the traits say that it watches");
        const authors: string[] = [];
        const watch = subject.target.watch((by) => authors.push(by));
        await apply(subject.rows.map(create));
        expect(authors).toEqual([]);
        await subject.tamper();
        await expect.poll(() => authors.length, { timeout: NOTICE_WITHIN_MS, interval: 5 }).toBeGreaterThan(0);
        expect(authors[0]).not.toBe("");
        watch.close();
      });
    }

    it("after an aborted apply the same plan still leads where it should", async () => {
      const abort = new AbortController();
      const interrupted = subject.target.apply(subject.rows.map(create), abort.signal).catch(() => []);
      abort.abort(new Error("stop"));
      await interrupted;
      await subject.target.observe(signal);
      expect(await apply(subject.rows.map(create))).toEqual([]);
      expect(await present(subject.rows)).toEqual(keysOf(subject.rows));
    });
  });
}
