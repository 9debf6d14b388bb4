import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { openLevelLog } from "../../../../src/events/leveldb/level-log.ts";
import { Witness } from "../../../../src/events/leveldb/witness.ts";
import type { EventLog } from "../../../../src/events/log.ts";
import { collect, pendings, temporaryDirectory } from "../samples.ts";
import { FailingDisk, type Failure } from "./failing-storage.ts";

const BATCHES = 6;

/** Appends `BATCHES` batches of two records with an answer each, and says which were acknowledged. */
async function appendAll(log: EventLog): Promise<{ acked: string[]; refused: string[] }> {
  const outcome = { acked: [] as string[], refused: [] as string[] };
  for (let index = 0; index < BATCHES; index += 1) {
    const records = pendings(index * 2, 2);
    const answers = [{ requestId: `answer-${index}`, answer: index }];
    const names = [...records.map(({ requestId }) => requestId), `answer-${index}`];
    try {
      await log.append({ expectedHead: log.head.seq, records, answers });
      outcome.acked.push(...names);
    } catch (error) {
      expect(error).toMatchObject({ code: "LOG_WRITE_FAILED", disposition: "transient" });
      outcome.refused.push(...names);
    }
  }
  return outcome;
}

async function contentOf(log: EventLog): Promise<string[]> {
  const records = (await collect(log)).map(({ requestId }) => requestId);
  const answers: string[] = [];
  for (let index = 0; index < BATCHES; index += 1) {
    if ((await log.answerOf(`answer-${index}`)) === index) answers.push(`answer-${index}`);
  }
  return [...records, ...answers].sort();
}

/** The data directory as a crash at this instant would leave it. */
function crashImage(dir: string): string {
  const image = join(temporaryDirectory(), "image");
  cpSync(dir, image, { recursive: true });
  rmSync(join(image, "log/LOCK"));
  return image;
}

afterEach(() => vi.restoreAllMocks());

describe("openLevelLog on a disk that fails", () => {
  for (const failure of ["before", "after"] satisfies Failure[]) {
    it(`loses nothing acknowledged and keeps nothing refused, whichever write fails (${failure} it reached the disk)`, async () => {
      // The first write is the log's own description; the batches follow, and whatever takes a refused one out again.
      for (let nth = 2; nth <= BATCHES + 1; nth += 1) {
        const dir = temporaryDirectory();
        const disk = new FailingDisk();
        disk.failWrite = (write) => (write === nth ? failure : null);
        const log = await openLevelLog(dir, disk);
        const { acked, refused } = await appendAll(log);
        expect([nth, refused.length]).toEqual([nth, 3]);
        expect(await contentOf(log)).toEqual([...acked].sort());
        const image = crashImage(dir);
        await log.close();
        for (const left of [dir, image]) {
          const again = await openLevelLog(left, { verify: true });
          expect(await contentOf(again)).toEqual([...acked].sort());
          expect(again.head).toEqual(log.head);
          await again.close();
        }
      }
    });
  }

  it("stays shut while the store cannot be reopened, and comes back by itself", async () => {
    const dir = temporaryDirectory();
    const disk = new FailingDisk();
    const log = await openLevelLog(dir, disk);
    const [one, two] = pendings(0, 2);
    if (one === undefined || two === undefined) throw new Error("no samples");
    await log.append({ expectedHead: 0, records: [one], answers: [] });
    disk.failWrite = () => "after";
    disk.failOpen = true;
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const refused = log.append({ expectedHead: 1, records: [two], answers: [] });
      await expect(refused).rejects.toMatchObject({ code: "LOG_WRITE_FAILED", disposition: "transient" });
    }
    await expect(collect(log)).rejects.toMatchObject({ code: "LOG_WRITE_FAILED" });
    expect(log.head.seq).toBe(1);
    const image = crashImage(dir);
    disk.failWrite = () => null;
    disk.failOpen = false;
    await log.append({ expectedHead: 1, records: [two], answers: [] });
    expect(await collect(log)).toHaveLength(2);
    await log.close();

    // We died while the refused record was in the store and could not be taken out: the next start takes it out.
    const notices: string[] = [];
    const again = await openLevelLog(image, { notice: ({ message }) => notices.push(message) });
    expect(again.head.seq).toBe(1);
    expect(await collect(again)).toHaveLength(1);
    expect(notices).toEqual(["records that had been refused to their callers are removed"]);
    await again.close();
  });

  it("is reopened by whoever reads it once the disk is well again: a quiet gateway appends nothing for hours", async () => {
    const disk = new FailingDisk();
    const log = await openLevelLog(temporaryDirectory(), disk);
    await log.append({ expectedHead: 0, records: pendings(0, 1), answers: [{ requestId: "a", answer: 1 }] });
    disk.failWrite = () => "after";
    disk.failOpen = true;
    await expect(log.append({ expectedHead: 1, records: pendings(1, 1), answers: [] })).rejects.toThrow();
    await expect(log.answerOf("a")).rejects.toMatchObject({ code: "LOG_WRITE_FAILED", disposition: "transient" });
    disk.failWrite = () => null;
    disk.failOpen = false;
    expect(await log.answerOf("a")).toBe(1);
    expect(await collect(log)).toHaveLength(1);
    await log.close();
  });

  it("leaves no mark of an orderly end if it is closed while shut", async () => {
    const dir = temporaryDirectory();
    const disk = new FailingDisk();
    const log = await openLevelLog(dir, disk);
    disk.failWrite = () => "after";
    disk.failOpen = true;
    await expect(log.append({ expectedHead: 0, records: pendings(0, 1), answers: [] })).rejects.toThrow();
    await log.close();
    const again = await openLevelLog(dir);
    expect(again.head.seq).toBe(0);
    expect(await collect(again)).toEqual([]);
    await again.close();
  });

  it("[F10] gives up for good if another process has written the log meanwhile, and takes nothing of that out", async () => {
    const dir = temporaryDirectory();
    const disk = new FailingDisk();
    const log = await openLevelLog(dir, disk);
    await log.append({ expectedHead: 0, records: pendings(0, 2), answers: [] });
    disk.failWrite = () => "before";
    disk.failOpen = true;
    await expect(log.append({ expectedHead: 2, records: pendings(2, 1), answers: [] })).rejects.toThrow();
    const other = await openLevelLog(dir);
    await other.append({ expectedHead: 2, records: pendings(2, 3), answers: [] });
    await other.close();
    disk.failWrite = () => null;
    disk.failOpen = false;
    const late = log.append({ expectedHead: 2, records: pendings(5, 1), answers: [] });
    await expect(late).rejects.toMatchObject({ code: "LOG_LOCKED", disposition: "fatal" });
    expect(() => log.checkLock()).toThrow(expect.objectContaining({ code: "LOG_LOCKED" }));
    await log.close();
    const again = await openLevelLog(dir, { verify: true });
    expect(again.head.seq).toBe(5);
    await again.close();
  });

  it("does not acknowledge what the head witness could not be told of, and takes it out again", async () => {
    const dir = temporaryDirectory();
    const log = await openLevelLog(dir);
    await log.append({ expectedHead: 0, records: pendings(0, 1), answers: [] });
    vi.spyOn(Witness.prototype, "write").mockRejectedValueOnce(new Error("EIO"));
    const refused = log.append({ expectedHead: 1, records: pendings(1, 3), answers: [{ requestId: "a", answer: 1 }] });
    await expect(refused).rejects.toMatchObject({ code: "LOG_WRITE_FAILED" });
    expect(await collect(log)).toHaveLength(1);
    expect(await log.answerOf("a")).toBeUndefined();
    await log.append({ expectedHead: 1, records: pendings(1, 1), answers: [] });
    await log.close();
    const again = await openLevelLog(dir, { verify: true });
    expect(again.head.seq).toBe(2);
    await again.close();
  });

  it("lets a reading that is under way go on over the reopened store", async () => {
    const disk = new FailingDisk();
    const log = await openLevelLog(temporaryDirectory(), disk);
    await log.append({ expectedHead: 0, records: pendings(0, 5000), answers: [] });
    const opens = disk.opens;
    let seen = 0;
    for await (const { seq } of log.read(0)) {
      seen = seq;
      if (seq % 1500 !== 0) continue;
      disk.failWrite = () => "before";
      await expect(log.append({ expectedHead: 5000, records: pendings(0, 1), answers: [] })).rejects.toThrow();
      disk.failWrite = () => null;
    }
    expect(seen).toBe(5000);
    expect(disk.opens - opens).toBe(3);
    await log.close();
  });
});
