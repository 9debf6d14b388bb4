import { cpSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Level } from "level";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { eventKey } from "../../../../src/events/leveldb/keys.ts";
import { openLevelLog } from "../../../../src/events/leveldb/level-log.ts";
import { copyForReading } from "../../../../src/events/leveldb/log-copy.ts";
import { verifyLog } from "../../../../src/events/leveldb/verify.ts";
import { append, collect, temporaryDirectory } from "../samples.ts";

/** Every file of a directory with its content and the time it was last written. */
function stateOf(directory: string): Record<string, string> {
  const files: Record<string, string> = {};
  for (const name of readdirSync(directory, { recursive: true, encoding: "utf8" })) {
    const stat = statSync(join(directory, name));
    const content = stat.isFile() ? readFileSync(join(directory, name)).toString("base64") : "";
    files[name] = `${stat.mtimeMs} ${stat.ino} ${content}`;
  }
  return files;
}

/** Where copies are made: a place of this file's own, so that what is left there is ours. */
const copies = temporaryDirectory(afterAll);
beforeAll(() => void vi.stubEnv("TMPDIR", copies));
afterAll(() => void vi.unstubAllEnvs());
const leftovers = () => readdirSync(copies);

/** Rewrites one stored record behind the log's back, with LevelDB's own checksums in order. */
async function tamper(dataDir: string, seq: number, change: (text: string) => string): Promise<void> {
  const db = new Level<string, string>(join(dataDir, "log"));
  await db.open();
  await db.put(eventKey(seq), change((await db.get(eventKey(seq))) ?? ""));
  await db.close();
}

async function closedLog(records: number): Promise<string> {
  const dataDir = temporaryDirectory();
  const log = await openLevelLog(dataDir);
  await append(log, 0, records);
  await log.close();
  return dataDir;
}

describe("verifyLog", () => {
  it("counts every record of a running log, writes nothing to its directory and leaves nothing behind", async () => {
    const dataDir = temporaryDirectory();
    const log = await openLevelLog(dataDir);
    await append(log, 0, 1234);
    const before = stateOf(dataDir);
    expect(await verifyLog(dataDir)).toEqual({ ok: true, head: log.head, after: 0, records: 1234, witnessAhead: null });
    expect(stateOf(dataDir)).toEqual(before);
    expect(leftovers()).toEqual([]);
    await append(log, 1234);
    // The copy must not have cost the owner its lock.
    await expect(openLevelLog(dataDir)).rejects.toMatchObject({ code: "LOG_LOCKED" });
    await log.close();
    expect(await verifyLog(dataDir)).toMatchObject({ ok: true, records: 1235 });
  });

  it("names the record that was rewritten, wherever it is", async () => {
    for (const seq of [1, 2, 500, 999, 1000]) {
      const dataDir = await closedLog(1000);
      await tamper(dataDir, seq, (text) => text.replace("lan0", "lan1").replace('"q', '"Q'));
      const verdict = await verifyLog(dataDir);
      expect(verdict).toMatchObject({ ok: false, fault: { code: "LOG_CORRUPT", seq } });
      expect(verdict.records).toBeLessThan(seq);
    }
  });

  it("names the record that is missing", async () => {
    const dataDir = await closedLog(20);
    const db = new Level<string, string>(join(dataDir, "log"));
    await db.open();
    await db.del(eventKey(11));
    await db.close();
    expect(await verifyLog(dataDir)).toMatchObject({
      ok: false,
      records: 9,
      fault: { code: "LOG_CORRUPT", seq: 11, message: "record 11 is missing" },
    });
  });

  it("tells a newer program's event from damage, and names the version that wrote it", async () => {
    const dataDir = temporaryDirectory();
    const log = await openLevelLog(dataDir);
    const data = { version: "7.1.0", instanceId: "0123456789abcdef", bootId: "b", uptimeMs: 1, afterCleanStop: true };
    const started = { type: "controller.started" as const, v: 1 as const, data };
    const record = { at: 1, source: "controller", requestId: "r", causedBy: null, event: started };
    await log.append({ expectedHead: 0, records: [record], answers: [] });
    await append(log, 0, 2);
    await log.close();
    // As the newer program would have left it: same chain, its own event at the end.
    const text = JSON.stringify({
      seq: 4,
      at: "2024-05-01T00:00:00.000Z",
      source: "kernel",
      requestId: "r",
      causedBy: null,
      type: "port.teleported",
      v: 3,
      data: {},
      prevHash: log.head.hash,
    });
    const db = new Level<string, string>(join(dataDir, "log"));
    await db.open();
    await db.put(eventKey(4), text);
    await db.close();
    const message = expect.stringMatching(/"port.teleported" version 3.*Portreeve 7\.1\.0 wrote it/) as string;
    expect(await verifyLog(dataDir)).toMatchObject({
      ok: false,
      records: 3,
      fault: { code: "LOG_NEWER_VERSION", seq: 4, message },
    });
    await expect(openLevelLog(dataDir)).rejects.toMatchObject({ code: "LOG_NEWER_VERSION", message });
  });

  it("says that there is no log where there is none", async () => {
    for (const directory of [temporaryDirectory(), join(temporaryDirectory(), "nowhere")]) {
      await expect(verifyLog(directory)).rejects.toMatchObject({ code: "NOT_FOUND" });
    }
    expect(leftovers()).toEqual([]);
  });

  it("calls a lost tail a fault in place, and in the copy of a log that had been closed", async () => {
    const inPlace = await closedLog(50);
    const copy = join(temporaryDirectory(), "copy");
    cpSync(inPlace, copy, { recursive: true });
    // As after a kill, where nothing but the witness's own place tells that this is no copy.
    rmSync(join(inPlace, "clean"));
    for (const place of [inPlace, copy]) {
      const wal = join(place, "log", readdirSync(join(place, "log")).find((name) => name.endsWith(".log")) as string);
      truncateSync(wal, statSync(wal).size - 10);
      expect(await verifyLog(place)).toMatchObject({ ok: false, fault: { code: "LOG_CORRUPT" } });
    }
  });
});

describe("copyForReading", () => {
  it("reads a copy made while the owner went on writing, up to where the log's files were copied", async () => {
    const dataDir = temporaryDirectory();
    const log = await openLevelLog(dataDir);
    await append(log, 0, 10);
    const copy = join(temporaryDirectory(), "copy");
    cpSync(dataDir, copy, { recursive: true });
    await append(log, 10, 5);
    // cp came to the witness last.
    writeFileSync(join(copy, "witness"), readFileSync(join(dataDir, "witness")));
    const read = await copyForReading(copy);
    expect(read).toMatchObject({ instanceId: log.instanceId, head: { seq: 10 }, witnessAhead: 15 });
    expect(await collect(read)).toEqual(await collect(log, 0, 10));
    await read.close();
    expect(leftovers()).toEqual([]);
    // Reading is one thing; going on from there would give promises twice.
    await expect(openLevelLog(copy)).rejects.toMatchObject({ code: "LOG_CORRUPT", seq: 11 });
    await log.close();
  });

  it("gets a whole copy of a log that is being written to", { timeout: 60_000 }, async () => {
    const dataDir = temporaryDirectory();
    const log = await openLevelLog(dataDir);
    let writing = true;
    const writer = (async () => {
      while (writing) await append(log, log.head.seq, 50);
    })();
    for (let round = 0; round < 10; round += 1) {
      const before = log.head.seq;
      const verdict = await verifyLog(dataDir);
      expect(verdict).toMatchObject({ ok: true, witnessAhead: null });
      expect(verdict.records).toBeGreaterThanOrEqual(before);
    }
    writing = false;
    await writer;
    await log.close();
  });
});
