import { describe, expect, it } from "vitest";
import type { History } from "../../../src/api/deps.ts";
import { firstRecords, lastRecords, recordsAbout } from "../../../src/api/record-stream.ts";
import { event, type PortreeveRecord } from "../../../src/events/index.ts";
import { memoryLog } from "../../../src/events/log-memory.ts";
import { openSnapshots } from "../../../src/events/snapshot-store.ts";
import { stateAt } from "../../../src/controller/history.ts";
import { T0, temporaryDirectory } from "../events/samples.ts";

const EVENTS = 10_000_000;
const LOOKED_AT_MAX = 2_000_000;
const ID = "m000000000001";
const about = event("lease.released", { mappingId: ID, claimKey: "operator", reason: "client" });
const other = event("lease.released", { mappingId: "m000000000002", claimKey: "operator", reason: "client" });

/** Ten million records, of which those in `wanted` are about one port; counts what is read. */
function longPast(wanted: (seq: number) => boolean): { history: History; read: () => number } {
  let read = 0;
  const records = async function* (after: number, to = EVENTS): AsyncGenerator<PortreeveRecord> {
    for (let seq = after + 1; seq <= to; seq += 1) {
      read += 1;
      yield { seq, event: wanted(seq) ? about : other } as PortreeveRecord;
    }
  };
  const history = { head: { seq: EVENTS, hash: "" }, readableAfter: () => Promise.resolve(0), records };
  return { history: history as unknown as History, read: () => read };
}

const isAbout = (record: PortreeveRecord): boolean => record.event === about;

describe("questions about ten million events", { timeout: 60_000 }, () => {
  it("are answered from near the end, or from where they begin, without reading the rest", async () => {
    const { history, read } = longPast((seq) => seq % 1000 === 0);
    const last = await lastRecords(history, EVENTS, 10, isAbout);
    expect(last.map(({ seq }) => seq)).toEqual(Array.from({ length: 10 }, (_, index) => EVENTS - 9000 + index * 1000));
    const first = await firstRecords(history, 3_000_000, EVENTS, 3, isAbout);
    expect(first.map(({ seq }) => seq)).toEqual([3_001_000, 3_002_000, 3_003_000]);
    expect(read()).toBeLessThan(40_000);
  });

  it("end with a word of how to ask where too many records would have to be read, instead of half an answer", async () => {
    const rare = longPast((seq) => seq === 1 || seq === EVENTS);
    const refusal = { problem: { code: "INVALID_REQUEST", detail: expect.stringMatching(/^1 such .* `limit`/) } };
    await expect(lastRecords(rare.history, EVENTS, 2, isAbout)).rejects.toMatchObject(refusal);
    expect(rare.read()).toBeLessThanOrEqual(LOOKED_AT_MAX);
    await expect(firstRecords(rare.history, 0, EVENTS, 2, isAbout)).rejects.toMatchObject(refusal);
    expect(rare.read()).toBeLessThanOrEqual(2 * LOOKED_AT_MAX + 1);
    expect(await lastRecords(rare.history, 1000, 2, isAbout)).toHaveLength(1);
    expect(await firstRecords(rare.history, 0, 1000, 2, isAbout)).toHaveLength(1);
  });

  it("about a port read the beginning and the end of a long life, say what they did not, and keep a bounded number", async () => {
    const { history, read } = longPast((seq) => seq === 2 || seq > EVENTS - 5000);
    const { records, unread } = await recordsAbout(history, { id: ID, createdSeq: 2, revision: EVENTS });
    expect(unread).toEqual({ first: 500_002, last: EVENTS - 500_000 });
    expect(read()).toBe(1_000_000);
    expect([records.length, records[0]?.seq, records.at(-1)?.seq]).toEqual([1000, 2, EVENTS]);
    const young = await recordsAbout(history, { id: ID, createdSeq: EVENTS - 10, revision: EVENTS });
    expect(young).toMatchObject({ unread: null });
    expect(young.records).toHaveLength(11);
  });

  it("for a whole state fold no more than they may, and say which command folds the rest", async () => {
    const log = memoryLog();
    const seen = event("interface.observed", { name: "wan0", up: true, addresses: [], gateway: null });
    const record = { at: T0, source: "kernel", requestId: "link", causedBy: null, event: seen };
    await log.append({ expectedHead: 0, records: Array.from({ length: 30 }, () => record), answers: [] });
    const snapshots = openSnapshots(temporaryDirectory());
    expect((await stateAt(log, snapshots, 20, 20)).seq).toBe(20);
    const refusal = { code: "INVALID_REQUEST", message: expect.stringContaining("portreeve replay") };
    await expect(stateAt(log, snapshots, 21, 20)).rejects.toMatchObject(refusal);
  });
});
