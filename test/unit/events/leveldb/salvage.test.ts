import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { event, type PortreeveRecord } from "../../../../src/events/index.ts";
import { openLevelLog } from "../../../../src/events/leveldb/level-log.ts";
import { planSalvage, type Salvage } from "../../../../src/events/leveldb/salvage.ts";
import { openLevelStorage } from "../../../../src/events/leveldb/storage.ts";
import { verifyLog } from "../../../../src/events/leveldb/verify.ts";
import { openSnapshots } from "../../../../src/events/snapshot-store.ts";
import { append, collect, madeFrom, T0, temporaryDirectory } from "../samples.ts";

const RECORDS = 900;
const SAVED = 600;
const OPTIONS = { foldVersion: 1 };

let scratch: string;
/** Killed with tables and a write-ahead log; stopped cleanly. */
const images: Record<"killed" | "clean", string> = { killed: "", clean: "" };
let records: PortreeveRecord[];

beforeAll(async () => {
  scratch = temporaryDirectory((remove) => process.once("exit", remove));
  const directory = join(scratch, "data");
  const first = await openLevelLog(directory);
  await append(first, 0, 300);
  await append(first, 300, 300);
  await first.close();
  const log = await openLevelLog(directory);
  for (let index = SAVED; index < RECORDS; index += 10) await append(log, index, 10);
  records = await collect(log);
  images.killed = join(scratch, "killed");
  cpSync(directory, images.killed, { recursive: true });
  await log.close();
  images.clean = directory;
}, 60_000);

/** A copy to damage, as its owner sees it: with a witness that is where it was written. */
async function copyOf(image: keyof typeof images, harm: (dataDir: string) => void | Promise<void>): Promise<string> {
  const dataDir = join(temporaryDirectory(), "data");
  cpSync(images[image], dataDir, { recursive: true });
  const text = readFileSync(join(dataDir, "witness"), "latin1");
  expect(text).toContain("portreeve-witness-1");
  await harm(dataDir);
  return dataDir;
}

const file = (dataDir: string, ending: RegExp): string => {
  const names = readdirSync(join(dataDir, "log")).filter((name) => ending.test(name));
  return join(dataDir, "log", names.sort((a, b) => statBytes(dataDir, b) - statBytes(dataDir, a))[0] as string);
};
const statBytes = (dataDir: string, name: string): number => statSync(join(dataDir, "log", name)).size;

async function saveSnapshot(dataDir: string, seq: number, hash = records[seq - 1]?.hash ?? ""): Promise<void> {
  const header = { seq, chainHash: hash, at: records[seq - 1]?.at ?? 0, reducerVersion: 1 };
  await openSnapshots(dataDir).write(header, ["{}"]);
}

/** Everything below a directory, with its bytes: what a salvage must leave alone. */
function contentOf(directory: string): Record<string, string> {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [path, readFileSync(path).toString("base64")];
    }),
  );
}

interface Salvaged extends Salvage {
  readonly got: PortreeveRecord[];
  readonly base: number;
}

/** Salvages, and holds the result to what every salvage promises. */
async function salvage(dataDir: string, restore?: number | "newest"): Promise<Salvaged> {
  const before = contentOf(dataDir);
  const plan = await planSalvage(dataDir, { ...OPTIONS, ...(restore !== undefined && { restore }) });
  expect(existsSync(plan.target), "planning makes nothing").toBe(false);
  await plan.carryOut();
  expect(contentOf(dataDir), "the evidence").toEqual(before);
  expect(await verifyLog(plan.target)).toMatchObject({ ok: true });
  const log = await openLevelLog(plan.target, { verify: true });
  const got = await collect(log, log.base.seq);
  const { base } = log;
  await log.close();
  const kept = got.filter(({ seq }) => seq <= plan.head);
  expect(kept).toEqual(records.slice(plan.after, plan.head));
  const added = got.slice(kept.length).map(madeFrom);
  expect(added.map(({ event }) => event.type)).toEqual(plan.lost === null ? [] : ["epoch.reset"]);
  return { ...plan, got, base: base.seq };
}

/** The files and directories that were synced while `work` was at it. */
async function syncedDuring(work: () => Promise<void>): Promise<string[]> {
  const synced: string[] = [];
  const any = await open(scratch, "r");
  const sync = vi.spyOn(Object.getPrototypeOf(any) as FileHandle, "sync").mockImplementation(async function (
    this: FileHandle,
  ) {
    synced.push(readlinkSync(`/proc/self/fd/${this.fd}`));
  });
  try {
    await work();
  } finally {
    sync.mockRestore();
    await any.close();
  }
  return synced;
}

function flip(path: string, offset: number): void {
  const bytes = readFileSync(path);
  bytes[offset] = (bytes[offset] as number) ^ 4;
  writeFileSync(path, bytes);
}

describe("planSalvage", () => {
  it.each(["killed", "clean"] as const)("makes the same log again of one that is whole (%s)", async (image) => {
    const dataDir = await copyOf(image, () => {});
    const { after, head, lost, leftBehind } = await salvage(dataDir);
    // Its witness is a copy, so nothing can tell how much the original promised since.
    expect({ after, head, lost, leftBehind }).toEqual({
      after: 0,
      head: RECORDS,
      lost: { first: RECORDS + 1, last: null },
      leftBehind: null,
    });
  });

  it("gets everything where LevelDB gets nothing: CURRENT and MANIFEST are gone", async () => {
    const dataDir = await copyOf("killed", (dir) => {
      for (const name of readdirSync(join(dir, "log"))) {
        if (/CURRENT|MANIFEST/.test(name)) rmSync(join(dir, "log", name));
      }
    });
    expect(await verifyLog(dataDir)).toMatchObject({ ok: false });
    expect(await salvage(dataDir)).toMatchObject({ after: 0, head: RECORDS });
  });

  it("[F5] keeps what is before a damaged table block, and names what is lost after it", async () => {
    const dataDir = await copyOf("clean", (dir) => flip(file(dir, /\.ldb$/), 9000));
    const { after, head, lost } = await salvage(dataDir);
    expect(after).toBe(0);
    expect(head).toBeGreaterThan(0);
    expect(head).toBeLessThan(RECORDS);
    expect(lost).toEqual({ first: head + 1, last: RECORDS });
  });

  it("[F5] loses no promise to a damaged table if a snapshot after the damage leads on", async () => {
    const dataDir = await copyOf("clean", async (dir) => {
      flip(file(dir, /\.ldb$/), 9000);
      await saveSnapshot(dir, SAVED);
      await saveSnapshot(dir, SAVED - 1, "f".repeat(64));
    });
    const { after, head, leftBehind, base } = await salvage(dataDir);
    expect({ after, head, leftBehind, base }).toEqual({
      after: SAVED,
      head: RECORDS,
      leftBehind: { first: 1, last: SAVED },
      base: SAVED,
    });
  });

  it("[F3] keeps what is before the cut of a write-ahead log, and names the rest from the witness", async () => {
    const dataDir = await copyOf("killed", (dir) => {
      const wal = file(dir, /\.log$/);
      truncateSync(wal, Math.floor(statSync(wal).size / 2));
    });
    const { head, lost } = await salvage(dataDir);
    expect(head).toBeGreaterThan(SAVED);
    expect(head).toBeLessThan(RECORDS);
    expect(lost).toEqual({ first: head + 1, last: RECORDS });
  });

  it("finds its own instance again in the records when the log's description is damaged", async () => {
    const dataDir = join(temporaryDirectory(), "data");
    const log = await openLevelLog(dataDir);
    const { instanceId } = log;
    const data = { version: "0.1.0", instanceId, bootId: "b", uptimeMs: 1, afterCleanStop: true };
    const started = {
      at: T0,
      source: "controller",
      requestId: "s",
      causedBy: null,
      event: event("controller.started", data),
    };
    await log.append({ expectedHead: 0, records: [started], answers: [] });
    await log.close();
    const storage = await openLevelStorage(join(dataDir, "log"));
    await storage.write([{ type: "put", key: "m!genesis", value: "nothing" }]);
    await storage.close();
    await expect(openLevelLog(dataDir)).rejects.toMatchObject({ code: "LOG_CORRUPT", remedy: "salvage" });
    const plan = await planSalvage(dataDir, OPTIONS);
    await plan.carryOut();
    const salvaged = await openLevelLog(plan.target);
    expect([salvaged.instanceId, salvaged.head.seq]).toEqual([instanceId, 1]);
    await salvaged.close();
  });

  it("[E7] salvages a compacted log with its archive, and refuses one whose beginning nothing knows", async () => {
    const dataDir = await copyOf("clean", async (dir) => {
      const log = await openLevelLog(dir);
      await log.compact(500);
      await log.close();
    });
    const salvaged = await salvage(dataDir);
    expect(salvaged).toMatchObject({ after: 500, head: RECORDS, base: 500 });
    const log = await openLevelLog(salvaged.target);
    expect((await collect(log)).slice(0, RECORDS)).toEqual(records);
    await log.close();
    rmSync(join(dataDir, "archive"), { recursive: true });
    await expect(planSalvage(dataDir, OPTIONS)).rejects.toMatchObject({ code: "NOT_FOUND" });
    await saveSnapshot(dataDir, 500);
    expect(await salvage(dataDir)).toMatchObject({ after: 500, head: RECORDS });
  });

  it("[E7] takes the archive along also where the log begins with a snapshot, as every compacted one does", async () => {
    const dataDir = await copyOf("clean", async (dir) => {
      await saveSnapshot(dir, 500);
      const log = await openLevelLog(dir);
      await log.compact(500);
      await log.close();
    });
    const salvaged = await salvage(dataDir);
    expect(salvaged).toMatchObject({ after: 500, head: RECORDS, leftBehind: null });
    const log = await openLevelLog(salvaged.target);
    expect(await log.readableAfter()).toBe(0);
    expect((await collect(log)).slice(0, RECORDS)).toEqual(records);
    await log.close();
  });

  it("[F4] has every file it copies on the disk before the new directory has its name", async () => {
    const dataDir = await copyOf("clean", async (dir) => {
      const log = await openLevelLog(dir);
      await log.compact(500);
      await log.close();
      await saveSnapshot(dir, 500);
      mkdirSync(join(dir, "secrets"));
      writeFileSync(join(dir, "secrets", "one"), "sealed");
      writeFileSync(join(dir, "api-token"), "token");
    });
    const synced = await syncedDuring(async () => await (await planSalvage(dataDir, OPTIONS)).carryOut());
    const copied = ["archive", "secrets", "snapshots"].flatMap((place) =>
      readdirSync(join(dataDir, place)).map((name) => join(place, name)),
    );
    expect(copied.length).toBeGreaterThan(2);
    const where = `${dataDir}.salvaged-1.unfinished`;
    expect(synced).toEqual(expect.arrayContaining([...copied, "api-token"].map((name) => join(where, name))));
  });

  it("restores a snapshot alone, newest or named, and gives up what came after it", async () => {
    const dataDir = await copyOf("killed", async (dir) => {
      await saveSnapshot(dir, 100);
      await saveSnapshot(dir, SAVED);
      writeFileSync(join(dir, "api-token"), "token");
    });
    const newest = await salvage(dataDir, "newest");
    expect(newest).toMatchObject({ after: SAVED, head: SAVED, lost: { first: SAVED + 1, last: RECORDS } });
    expect(readFileSync(join(newest.target, "api-token"), "utf8")).toBe("token");
    expect(await salvage(dataDir, 100)).toMatchObject({ after: 100, head: 100 });
    await expect(planSalvage(dataDir, { ...OPTIONS, restore: 101 })).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(planSalvage(temporaryDirectory(), OPTIONS)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it("refuses while a process has the log open", async () => {
    const dataDir = temporaryDirectory();
    const log = await openLevelLog(dataDir);
    await append(log, 0);
    // The lock is this very process's, and /proc/locks shows it all the same.
    await expect(planSalvage(dataDir, OPTIONS)).rejects.toMatchObject({ code: "LOG_LOCKED" });
    await log.close();
  });

  it("says that nothing is lost of a damaged log whose witness reaches no further, and resets no epoch", async () => {
    const dataDir = temporaryDirectory();
    const log = await openLevelLog(dataDir);
    await append(log, 0, 20);
    await log.close();
    rmSync(join(dataDir, "log", "CURRENT"));
    const plan = await planSalvage(dataDir, OPTIONS);
    expect(plan).toMatchObject({ after: 0, head: 20, lost: null, leftBehind: null });
    await plan.carryOut();
    const whole = await openLevelLog(plan.target);
    expect(whole.head.seq).toBe(20);
    expect(whole.instanceId).toBe(log.instanceId);
    await whole.close();
    const again = await planSalvage(dataDir, OPTIONS);
    expect(again.target, "never over one that is there").not.toBe(plan.target);
    rmSync(plan.target, { recursive: true });
  });
});
