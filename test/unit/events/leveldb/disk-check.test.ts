import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { dataDirAt } from "../../../../src/events/data-dir.ts";
import { checkOnDisk } from "../../../../src/events/leveldb/disk-check.ts";
import { bytesToScan } from "../../../../src/events/leveldb/files/table-scan.ts";
import { eventKey } from "../../../../src/events/leveldb/keys.ts";
import { openLevelLog } from "../../../../src/events/leveldb/level-log.ts";
import { openLevelStorage } from "../../../../src/events/leveldb/storage.ts";
import type { EventLog } from "../../../../src/events/log.ts";
import { append, temporaryDirectory } from "../samples.ts";

const RECORDS = 3000;

/** Opened twice, so that its first half is in a table and the rest in the write-ahead log. */
async function makeLog(): Promise<{ dataDir: string; log: EventLog }> {
  const dataDir = temporaryDirectory();
  const first = await openLevelLog(dataDir);
  await append(first, 0, RECORDS / 2);
  await first.close();
  const log = await openLevelLog(dataDir);
  await append(log, RECORDS / 2, RECORDS / 2);
  return { dataDir, log };
}

interface Look {
  readonly seen: number[];
  readonly pauses: number;
}

/** Checks it while it is open; `between` happens at each pause. */
async function check(
  dataDir: string,
  { base, head }: Pick<EventLog, "base" | "head">,
  between: (pause: number) => Promise<unknown> = async () => {},
): Promise<Look> {
  const seen: number[] = [];
  let pauses = 0;
  const pause = async (): Promise<void> => {
    pauses += 1;
    await between(pauses);
  };
  await checkOnDisk({ dataDir, base, head, onProgress: (through) => seen.push(through), pause });
  return { seen, pauses };
}

const tables = (dataDir: string): string[] =>
  readdirSync(dataDirAt(dataDir).log).filter((name) => name.endsWith(".ldb"));

describe("checkOnDisk", () => {
  it("reads every record of a log that is open, in tables and in the write-ahead log", async () => {
    const { dataDir, log } = await makeLog();
    expect(tables(dataDir).length).toBeGreaterThan(0);
    const { seen, pauses } = await check(dataDir, log);
    expect(seen).toEqual([1000, 2000, 3000]);
    expect(pauses).toBeGreaterThan(tables(dataDir).length);
    await log.close();
  });

  it("is not led astray by what is written, flushed, merged and taken to the archive meanwhile", async () => {
    const { dataDir, log } = await makeLog();
    const { base, head } = log;
    await check(dataDir, { base, head }, async (pause) => {
      if (pause === 1) await append(log, RECORDS, 500);
      // The archive takes the first half of what was to be read, and LevelDB merges what is left.
      if (pause === 2) await log.compact(1800);
    });
    expect(log.base.seq).toBe(1800);
    await log.close();
  });

  it("[F5] names the record that is missing or was changed", async () => {
    for (const [value, message] of [
      [undefined, "record 1200 is missing"],
      ['{"seq":1200}', "the envelope of record 1200 is not well formed"],
    ] as const) {
      const { dataDir, log } = await makeLog();
      const { base, head } = log;
      await log.close();
      const storage = await openLevelStorage(dataDirAt(dataDir).log);
      const key = eventKey(1200);
      await storage.write([value === undefined ? { type: "del", key } : { type: "put", key, value }]);
      await expect(check(dataDir, { base, head })).rejects.toMatchObject({ code: "LOG_CORRUPT", seq: 1200, message });
      await storage.close();
    }
  });

  it("[F5] names the table that is damaged, and leaves the note that not all were looked at", async () => {
    const { dataDir, log } = await makeLog();
    const dir = dataDirAt(dataDir);
    const path = join(dir.log, tables(dataDir)[0] as string);
    const whole = readFileSync(path);
    const damaged = Buffer.from(whole);
    damaged[100] = (damaged[100] as number) ^ 1;
    writeFileSync(path, damaged);
    await expect(check(dataDir, log)).rejects.toMatchObject({ code: "LOG_CORRUPT" });
    expect(existsSync(dir.unchecked)).toBe(true);
    writeFileSync(path, whole);
    await check(dataDir, log);
    expect(existsSync(dir.unchecked)).toBe(false);
    await log.close();
  });
});

describe("bytesToScan", () => {
  it("is all tables only if a fault is known, or the last start had not come to look at all of them", async () => {
    const dir = dataDirAt(temporaryDirectory());
    expect(Number.isFinite(await bytesToScan(dir, false))).toBe(true);
    expect(await bytesToScan(dir, false), "before it had looked").toBe(Infinity);
    rmSync(dir.unchecked);
    expect(await bytesToScan(dir, true)).toBe(Infinity);
  });

  it("[F5] is all tables if LevelDB died in the open after a stop in order, and not after the stop itself", async () => {
    const { dataDir, log } = await makeLog();
    const dir = dataDirAt(dataDir);
    await log.close();
    expect(existsSync(dir.unchecked)).toBe(false);
    const dying = openLevelLog(dataDir, { openStorage: () => Promise.reject(new Error("as if it had died")) });
    await expect(dying).rejects.toThrow();
    expect(existsSync(dir.clean)).toBe(true);
    rmSync(dir.suspect);
    expect(await bytesToScan(dir, false)).toBe(Infinity);
  });

  it("is the newest tables after a kill in the middle of a life, whatever the log's length", async () => {
    const { dataDir, log } = await makeLog();
    const dir = dataDirAt(dataDir);
    await check(dataDir, log);
    expect(Number.isFinite(await bytesToScan(dir, false))).toBe(true);
    await log.close();
  });

  it("is all tables where a full disk lets no note be made", async () => {
    const missing = dataDirAt(join(temporaryDirectory(), "missing"));
    expect(await bytesToScan(missing, false)).toBe(Infinity);
  });
});
