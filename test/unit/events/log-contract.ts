import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { storedRecordSchema } from "../../../src/events/envelope.ts";
import type { EventLog } from "../../../src/events/log.ts";
import { append, collect, madeFrom, pendings } from "./samples.ts";

/** What every event log promises. `open` gives a new, empty one. */
export function describeLogContract(name: string, open: () => Promise<EventLog>): void {
  describe(`${name} as an event log`, () => {
    it("begins empty, with an identity of 16 hex digits", async () => {
      const log = await open();
      expect(log.head).toEqual({ seq: 0, hash: "0".repeat(64) });
      expect(log.instanceId).toMatch(/^[0-9a-f]{16}$/);
      expect(await collect(log)).toEqual([]);
      await log.close();
    });

    it("gives back what was appended, numbered from 1 without a gap", async () => {
      const log = await open();
      const first = await append(log, 0, 3);
      const second = await append(log, 3, 40);
      const records = await collect(log);
      expect(records).toEqual([...first, ...second]);
      expect(records.map(madeFrom)).toEqual(pendings(0, 43));
      expect(records.map(({ seq }) => seq)).toEqual(Array.from({ length: 43 }, (_, index) => index + 1));
      await log.close();
    });

    it("chains each record to the stored bytes of the one before", async () => {
      const log = await open();
      await append(log, 0, 5);
      let prevHash = "0".repeat(64);
      for (const { seq, at, source, requestId, causedBy, event, ...hashes } of await collect(log)) {
        const { type, v, data } = event;
        const stored = { seq, at: new Date(at).toISOString(), source, requestId, causedBy, type, v, data, prevHash };
        expect(storedRecordSchema.parse(stored)).toEqual(stored);
        const hash = createHash("sha256").update(JSON.stringify(stored)).digest("hex");
        expect(hashes).toEqual({ prevHash, hash });
        prevHash = hash;
      }
      expect(log.head).toEqual({ seq: 5, hash: prevHash });
      await log.close();
    });

    it("reads from the middle, and up to where it is told", async () => {
      const log = await open();
      await append(log, 0, 30);
      const all = await collect(log);
      expect(await collect(log, 12)).toEqual(all.slice(12));
      expect(await collect(log, 12, 20)).toEqual(all.slice(12, 20));
      expect(await collect(log, 0, 1)).toEqual(all.slice(0, 1));
      expect(await collect(log, 12, 1000)).toEqual(all.slice(12));
      expect(await collect(log, 30)).toEqual([]);
      expect(await collect(log, 12, 12)).toEqual([]);
      await log.close();
    });

    it("reads up to the head it had when the reading began, while appends go on", async () => {
      const log = await open();
      await append(log, 0, 10);
      const seen: number[] = [];
      for await (const { seq } of log.read(0)) {
        seen.push(seq);
        if (seq <= 3) await append(log, 9 + seq);
      }
      expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
      expect(log.head.seq).toBe(13);
      await log.close();
    });

    it("refuses an append at a stale head and leaves everything as it is", async () => {
      const log = await open();
      await append(log, 0, 2);
      const { head } = log;
      for (const expectedHead of [0, 1, 3]) {
        const batch = { expectedHead, records: pendings(7, 1), answers: [{ requestId: "stale", answer: 1 }] };
        await expect(log.append(batch)).rejects.toMatchObject({
          code: "LOG_REVISION_CONFLICT",
          disposition: "conflict",
        });
      }
      expect(log.head).toEqual(head);
      expect(await collect(log)).toHaveLength(2);
      expect(await log.answerOf("stale")).toBeUndefined();
      await log.close();
    });

    it("takes nothing of a batch with a record it could not read back", async () => {
      const log = await open();
      await append(log, 0);
      const [good, other] = pendings(1, 2);
      if (good === undefined || other === undefined) throw new Error("no samples");
      const bad = { ...other, source: "" };
      const answers = [{ requestId: "bad", answer: 1 }];
      await expect(log.append({ expectedHead: 1, records: [good, bad], answers })).rejects.toThrow(/envelope/);
      expect(log.head.seq).toBe(1);
      expect(await collect(log)).toHaveLength(1);
      expect(await log.answerOf("bad")).toBeUndefined();
      await append(log, 1);
      expect(log.head.seq).toBe(2);
      await log.close();
    });

    it("serialises appends that are made at once: one wins the head, the others are told", async () => {
      const log = await open();
      const attempts = pendings(0, 8).map((one) => log.append({ expectedHead: 0, records: [one], answers: [] }));
      const outcomes = await Promise.allSettled(attempts);
      expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", ...Array(7).fill("rejected")]);
      expect((await collect(log)).map(madeFrom)).toEqual(pendings(0, 1));
      await log.close();
    });

    it("takes appends in the order they were called in", async () => {
      const log = await open();
      const calls = pendings(0, 20).map((one, index) =>
        log.append({ expectedHead: index, records: [one], answers: [] }),
      );
      await Promise.all(calls);
      expect((await collect(log)).map(madeFrom)).toEqual(pendings(0, 20));
      await log.close();
    });

    it("remembers the answer to a request, with its records or without, and the newest if there are two", async () => {
      const log = await open();
      const answer = { ok: true, seq: 1, answer: { kind: "ids", ids: ["m000000000001"] } };
      await log.append({ expectedHead: 0, records: pendings(0, 1), answers: [{ requestId: "a ☃", answer }] });
      await log.append({ expectedHead: 1, records: [], answers: [{ requestId: "b", answer: null }] });
      expect(await log.answerOf("a ☃")).toEqual(answer);
      expect(await log.answerOf("b")).toBeNull();
      expect(await log.answerOf("c")).toBeUndefined();
      await log.append({ expectedHead: 1, records: [], answers: [{ requestId: "b", answer: 2 }] });
      expect(await log.answerOf("b")).toBe(2);
      expect(log.head.seq).toBe(1);
      await log.close();
    });

    it("[E7] gives back what has left it, with its chain, and goes on numbering where it was", async () => {
      const log = await open();
      await append(log, 0, 30);
      const all = await collect(log);
      expect([log.base.seq, await log.readableAfter()]).toEqual([0, 0]);
      await log.compact(12);
      expect(log.base).toEqual({ seq: 12, hash: all[11]?.hash });
      expect(await log.readableAfter()).toBe(0);
      for (const [after, to] of [
        [0, 30],
        [0, 5],
        [3, 12],
        [11, 13],
        [12, 30],
        [20, 25],
      ] as const) {
        expect(await collect(log, after, to), `after ${after} to ${to}`).toEqual(all.slice(after, to));
      }
      await append(log, 30, 3);
      await log.compact(25);
      await log.compact(7);
      expect(log.base.seq).toBe(25);
      expect((await collect(log)).map(madeFrom)).toEqual(pendings(0, 33));
      await log.close();
    });

    it("is compacted under a reader who misses nothing and gets nothing twice", async () => {
      const log = await open();
      await append(log, 0, 40);
      const seen: number[] = [];
      for await (const { seq } of log.read(0)) {
        seen.push(seq);
        if (seq === 2) await log.compact(20);
        if (seq === 10) await log.compact(35);
      }
      expect(seen).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
      await log.close();
    });

    it("rejects everything once it is closed, and closes twice without complaint", async () => {
      const log = await open();
      const before = append(log, 0);
      const closed = log.close();
      const after = append(log, 0);
      await expect(after).rejects.toMatchObject({ code: "LOG_WRITE_FAILED" });
      expect(await before).toHaveLength(1);
      await closed;
      await log.close();
      await expect(collect(log)).rejects.toMatchObject({ code: "LOG_WRITE_FAILED" });
      await expect(log.answerOf("a")).rejects.toMatchObject({ code: "LOG_WRITE_FAILED" });
    });
  });
}
