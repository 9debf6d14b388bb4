import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openLevelLog } from "../../../../src/events/leveldb/level-log.ts";
import { copyForReading } from "../../../../src/events/leveldb/log-copy.ts";
import { verifyLog } from "../../../../src/events/leveldb/verify.ts";
import { append, collect, temporaryDirectory } from "../samples.ts";
import { FailingDisk, type Failure } from "./failing-storage.ts";

const archived = (directory: string): string[] => readdirSync(join(directory, "archive")).sort();

async function compacted(records: number, ...to: number[]): Promise<string> {
  const directory = temporaryDirectory();
  const log = await openLevelLog(directory);
  await append(log, 0, records);
  for (const each of to) await log.compact(each);
  await log.close();
  return directory;
}

describe("a compacted log", () => {
  it("[E7] is opened, verified and copied as one that was not, and its archive is the stored bytes", async () => {
    const directory = await compacted(700, 100, 600);
    expect(archived(directory)).toEqual([
      "00000000000001-00000000000064.ndjson",
      "00000000000065-00000000000258.ndjson",
    ]);
    const first = readFileSync(join(directory, "archive", archived(directory)[0] as string), "utf8").split("\n")[0];
    expect(JSON.parse(first ?? "")).toMatchObject({ seq: 1, type: "mapping.granted", prevHash: "0".repeat(64) });
    const log = await openLevelLog(directory, { verify: true });
    expect([log.base.seq, log.head.seq]).toEqual([600, 700]);
    const records = await collect(log);
    expect(records).toHaveLength(700);
    await append(log, 700, 2);
    await log.close();
    const copy = await copyForReading(directory);
    expect((await collect(copy)).slice(0, 700)).toEqual(records);
    await copy.close();
    expect(await verifyLog(directory)).toMatchObject({ ok: true, after: 0, records: 702 });
  });

  it("[E7] says what is no longer there when archive files were moved away, and verifies the rest", async () => {
    const directory = await compacted(700, 100, 300, 600);
    const [, second] = archived(directory);
    rmSync(join(directory, "archive", second as string));
    const log = await openLevelLog(directory);
    expect(await log.readableAfter()).toBe(300);
    expect((await collect(log, 300)).map(({ seq }) => seq)[0]).toBe(301);
    await expect(collect(log, 150)).rejects.toMatchObject({
      code: "NOT_FOUND",
      message: expect.stringMatching(/record 151 is no longer there.*first record there is is 301/) as string,
    });
    await expect(collect(log, 50), "up to the gap it can be read").rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await collect(log, 50, 90)).toHaveLength(40);
    await log.close();
    expect(await verifyLog(directory)).toMatchObject({ ok: true, after: 300, records: 700 });
  });

  it("names the record of an archive file that is not what was written", async () => {
    const directory = await compacted(60, 30, 50);
    const [, file] = archived(directory).map((name) => join(directory, "archive", name));
    const whole = readFileSync(file as string, "utf8");
    const harms = [
      whole.replace('"requestId":"q40"', '"requestId":"q41"'),
      whole.slice(0, whole.length / 2),
      whole.replace(/\n$/, "x\n"),
      whole.replace('"lan0"', '"wan0"'),
    ];
    for (const harm of harms) {
      expect(harm).not.toBe(whole);
      writeFileSync(file as string, harm);
      const verdict = await verifyLog(directory);
      expect(verdict).toMatchObject({ ok: false, fault: { code: "LOG_CORRUPT" } });
      expect(verdict.fault?.seq).toBeGreaterThan(30);
      expect(verdict.fault?.seq).toBeLessThanOrEqual(50);
    }
  });

  it("[F6] loses nothing to a write that fails at any step, before or after it reached the disk", async () => {
    const images: Record<string, string> = {};
    for (const failure of ["before", "after"] as const satisfies readonly Failure[]) {
      for (let nth = 1; nth <= 3; nth += 1) {
        const directory = temporaryDirectory();
        const disk = new FailingDisk();
        const log = await openLevelLog(directory, { openStorage: disk.openStorage });
        const records = await append(log, 0, 1300);
        const before = disk.writes;
        disk.failWrite = (write) => (write === before + nth ? failure : null);
        await expect(log.compact(1200)).rejects.toMatchObject({ code: "LOG_WRITE_FAILED" });
        // Killed there: what a copy finds is whole.
        const image = `${directory}-image`;
        cpSync(directory, image, { recursive: true });
        images[`${failure} ${nth}`] = image;
        expect(await collect(log), `${failure} ${nth}`).toEqual(records);
        await append(log, 1300, 1);
        await log.compact(1200);
        expect(log.base.seq).toBe(1200);
        expect((await collect(log)).slice(0, 1300)).toEqual(records);
        await log.close();
        const reopened = await openLevelLog(image, { verify: true });
        expect(await collect(reopened), `${failure} ${nth}, killed`).toEqual(records);
        await reopened.compact(1250);
        expect(await collect(reopened)).toEqual(records);
        await reopened.close();
        rmSync(image, { recursive: true });
      }
    }
    expect(Object.keys(images)).toHaveLength(6);
  });

  it("keeps every record when the archive cannot be written", async () => {
    const directory = temporaryDirectory();
    const log = await openLevelLog(directory);
    await append(log, 0, 20);
    writeFileSync(join(directory, "archive"), "a file where the directory should be");
    await expect(log.compact(10)).rejects.toThrow(/EEXIST|ENOTDIR/);
    expect(log.base.seq).toBe(0);
    expect(await collect(log)).toHaveLength(20);
    await append(log, 20);
    await log.close();
  });
});
