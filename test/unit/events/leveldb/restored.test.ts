import { cpSync, existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import * as epochReset from "../../../../src/events/epoch-reset.ts";
import { endsWithEpochReset } from "../../../../src/events/epoch-reset.ts";
import { openLevelLog } from "../../../../src/events/leveldb/level-log.ts";
import { acceptLog, refuseIfBehind, refuseIfCopied } from "../../../../src/events/leveldb/restored.ts";
import { openLevelStorage } from "../../../../src/events/leveldb/storage.ts";
import { openSnapshots } from "../../../../src/events/snapshot-store.ts";
import { append, collect, temporaryDirectory } from "../samples.ts";

/** A data directory with `records` records, stopped cleanly. */
async function made(records: number): Promise<string> {
  const dataDir = join(temporaryDirectory(), "data");
  const log = await openLevelLog(dataDir);
  await append(log, 0, records);
  await log.close();
  return dataDir;
}

/** Its state of now, put in its place again after it went on: as a backup or a disk that was rolled back does. */
async function rolledBack(dataDir: string, parts: readonly string[], on = 5): Promise<void> {
  const backup = `${dataDir}-backup`;
  cpSync(dataDir, backup, { recursive: true });
  const log = await openLevelLog(dataDir);
  await append(log, log.head.seq, on);
  await log.close();
  for (const part of parts) {
    rmSync(join(dataDir, part), { recursive: true });
    cpSync(join(backup, part), join(dataDir, part), { recursive: true });
  }
}

describe("a restored copy", () => {
  it("[F12] of the whole directory is recognised, however healthy it looks, and a moved one is not taken for one", async () => {
    const dataDir = await made(10);
    await refuseIfCopied(dataDir);
    await rolledBack(dataDir, ["log", "witness"]);
    await expect(refuseIfCopied(dataDir)).rejects.toMatchObject({ code: "LOG_RESTORED", seq: 11, remedy: "accept" });
    await refuseIfCopied(join(dataDir, "nothing there"));
  });

  it("[F12] of the log alone is recognised by the witness", async () => {
    const dataDir = await made(10);
    await rolledBack(dataDir, ["log"]);
    await expect(openLevelLog(dataDir)).rejects.toMatchObject({ code: "LOG_CORRUPT", seq: 11, remedy: "accept" });
  });

  it("[F12] of log and witness is recognised by a snapshot", async () => {
    const dataDir = await made(10);
    const snapshots = openSnapshots(dataDir);
    const header = { chainHash: "0".repeat(64), at: 0, reducerVersion: 1 };
    await snapshots.write({ ...header, seq: 10 }, ["{}"]);
    const log = await openLevelLog(dataDir);
    await refuseIfBehind(log, snapshots);
    await snapshots.write({ ...header, seq: 12 }, ["{}"]);
    await expect(refuseIfBehind(log, snapshots)).rejects.toMatchObject({ code: "LOG_RESTORED", seq: 11 });
    await log.close();
  });
});

describe("acceptLog", () => {
  it.each([
    ["the whole directory", ["log", "witness"], null],
    ["the log", ["log"], 15],
  ] as const)("[F12] goes on from a copy of %s once confirmed, and resets the epoch", async (_what, parts, known) => {
    const dataDir = await made(10);
    await rolledBack(dataDir, parts);
    expect(await acceptLog(dataDir)).toEqual({ dataDir, head: 10, known, reset: 11 });
    await refuseIfCopied(dataDir);
    const log = await openLevelLog(dataDir, { verify: true });
    const records = await collect(log);
    expect(records.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    const reset = records.at(-1);
    expect(reset?.event).toMatchObject({
      type: "epoch.reset",
      data: { reason: expect.stringContaining("after record 10") as string },
    });
    expect(reset?.source).toBe("operator");
    expect(reset?.at).toBeGreaterThanOrEqual(records.at(-2)?.at ?? Number.POSITIVE_INFINITY);
    expect(await endsWithEpochReset(log), "nobody was told anything since").toBe(true);
    await append(log, 11, 1);
    expect(await endsWithEpochReset(log)).toBe(false);
    await log.close();
    expect(readdirSync(join(dataDir, "evidence")).some((name) => name.startsWith("witness-"))).toBe(true);
  });

  it("[F12] that is broken off before the epoch is reset has to be confirmed again", async () => {
    const dataDir = await made(10);
    await rolledBack(dataDir, ["log", "witness"]);
    const failing = vi.spyOn(epochReset, "appendEpochReset").mockRejectedValueOnce(new Error("the disk is full"));
    await expect(acceptLog(dataDir)).rejects.toThrow("the disk is full");
    failing.mockRestore();
    await expect(refuseIfCopied(dataDir)).rejects.toMatchObject({ code: "LOG_RESTORED", remedy: "accept" });
    expect(await acceptLog(dataDir)).toMatchObject({ head: 10, reset: 11 });
    await refuseIfCopied(dataDir);
  });

  it("keeps snapshots of what is given up as evidence, and those that still fit where they are", async () => {
    const dataDir = await made(10);
    const header = { chainHash: "0".repeat(64), at: 0, reducerVersion: 1 };
    for (const seq of [8, 12]) await openSnapshots(dataDir).write({ ...header, seq }, ["{}"]);
    expect(await acceptLog(dataDir)).toMatchObject({ head: 10, known: 12 });
    expect((await openSnapshots(dataDir).list()).map(({ seq }) => seq)).toEqual([8]);
    expect(readdirSync(join(dataDir, "evidence"))).toContain("0000000000000c.json");
  });

  it.each(["absent", "damaged"])("goes on without a witness that is %s", async (what) => {
    const dataDir = await made(10);
    if (what === "absent") rmSync(join(dataDir, "witness"));
    else writeFileSync(join(dataDir, "witness"), Buffer.alloc(8192));
    await expect(openLevelLog(dataDir)).rejects.toMatchObject({ code: "LOG_CORRUPT", remedy: "accept" });
    expect(await acceptLog(dataDir)).toMatchObject({ head: 10, known: null, reset: 11 });
    const log = await openLevelLog(dataDir);
    expect(log.head.seq).toBe(11);
    await log.close();
  });

  it("takes no log with a hole, whatever the witness says, and none that is open", async () => {
    const dataDir = await made(10);
    const storage = await openLevelStorage(join(dataDir, "log"));
    await storage.write([{ type: "del", key: "e!00000000000005" }]);
    await storage.close();
    await expect(acceptLog(dataDir)).rejects.toMatchObject({ code: "LOG_CORRUPT", seq: 5, remedy: "salvage" });
    const other = await made(3);
    const log = await openLevelLog(other);
    await expect(acceptLog(other)).rejects.toMatchObject({ code: "LOG_LOCKED" });
    await log.close();
    expect(existsSync(join(other, "suspect"))).toBe(false);
  });
});
