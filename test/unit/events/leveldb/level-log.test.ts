import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openLevelLog } from "../../../../src/events/leveldb/level-log.ts";
import { describeLogContract } from "../log-contract.ts";
import { append, collect, temporaryDirectory } from "../samples.ts";

describeLogContract("the LevelDB log", () => openLevelLog(temporaryDirectory()));

describe("openLevelLog", () => {
  it("goes on where it was closed: same identity, same records, one chain", async () => {
    const dir = temporaryDirectory();
    const first = await openLevelLog(dir);
    const made = [...(await append(first, 0, 7))];
    await first.append({ expectedHead: 7, records: [], answers: [{ requestId: "kept", answer: [1] }] });
    await first.close();
    const second = await openLevelLog(dir, { verify: true });
    expect(second.instanceId).toBe(first.instanceId);
    expect(second.head).toEqual(first.head);
    expect(await second.answerOf("kept")).toEqual([1]);
    made.push(...(await append(second, 7, 3)));
    expect(await collect(second)).toEqual(made);
    await second.close();
  });

  it("lets nobody else into the data directory", async () => {
    const dir = join(temporaryDirectory(), "deep", "data");
    const log = await openLevelLog(dir);
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    await log.close();
  });

  it("refuses a second opener in plain words and leaves the first one's files alone", async () => {
    const dir = temporaryDirectory();
    const log = await openLevelLog(dir);
    await append(log, 0, 3);
    const files = () => readdirSync(dir, { recursive: true, encoding: "utf8" }).sort();
    const before = files();
    const textLog = readFileSync(join(dir, "log/LOG"), "utf8");
    await expect(openLevelLog(dir)).rejects.toMatchObject({
      code: "LOG_LOCKED",
      disposition: "fatal",
      message: expect.stringContaining("this process has the event log open"),
    });
    expect(files()).toEqual(before);
    expect(readFileSync(join(dir, "log/LOG"), "utf8")).toBe(textLog);
    await append(log, 3);
    await log.close();
  });

  it("stops at once, and for good, when LOCK is not the file it locked", async () => {
    const dir = temporaryDirectory();
    const log = await openLevelLog(dir);
    await append(log, 0);
    renameSync(join(dir, "log/LOCK"), join(dir, "log/OTHER"));
    writeFileSync(join(dir, "log/LOCK"), "");
    await expect(append(log, 1)).rejects.toMatchObject({ code: "LOG_LOCKED", disposition: "fatal" });
    renameSync(join(dir, "log/OTHER"), join(dir, "log/LOCK"));
    await expect(append(log, 1)).rejects.toMatchObject({ code: "LOG_LOCKED" });
    expect(log.head.seq).toBe(1);
    await log.close();
    expect(existsSync(join(dir, "clean"))).toBe(false);
  });

  for (const [what, harm] of [
    ["unlinked", (lock: string) => rmSync(lock)],
    ["replaced", (lock: string) => (renameSync(lock, `${lock}-1`), writeFileSync(lock, ""))],
  ] as const) {
    it(`[F11] says when asked that LOCK was ${what}, and takes nothing more`, async () => {
      const dir = temporaryDirectory();
      const log = await openLevelLog(dir);
      await append(log, 0);
      log.checkLock();
      harm(join(dir, "log/LOCK"));
      expect(() => log.checkLock()).toThrow(expect.objectContaining({ code: "LOG_LOCKED", disposition: "fatal" }));
      await expect(append(log, 1)).rejects.toMatchObject({ code: "LOG_LOCKED" });
      await log.close();
    });
  }

  it("[F8] waits for a disk that cannot even say whose LOCK is", async () => {
    const dir = temporaryDirectory();
    const log = await openLevelLog(dir);
    await append(log, 0);
    renameSync(join(dir, "log"), join(dir, "aside"));
    // ELOOP from stat(2), whoever asks.
    symlinkSync("log", join(dir, "log"));
    expect(() => log.checkLock()).toThrow(
      expect.objectContaining({ code: "LOG_WRITE_FAILED", disposition: "transient" }),
    );
    await expect(append(log, 1)).rejects.toMatchObject({ code: "LOG_WRITE_FAILED", disposition: "transient" });
    rmSync(join(dir, "log"));
    renameSync(join(dir, "aside"), join(dir, "log"));
    await append(log, 1);
    expect(log.head.seq).toBe(2);
    await log.close();
  });

  it("forgets the oldest answers beyond ten thousand, across a restart too", async () => {
    const dir = temporaryDirectory();
    let log = await openLevelLog(dir);
    const answers = (from: number, count: number) =>
      Array.from({ length: count }, (_, index) => ({ requestId: `id-${from + index}`, answer: from + index }));
    for (let from = 0; from < 9_900; from += 900) {
      await log.append({ expectedHead: log.head.seq, records: [], answers: answers(from, 900) });
      await append(log, from);
    }
    await log.close();
    log = await openLevelLog(dir);
    await log.append({ expectedHead: log.head.seq, records: [], answers: answers(9_900, 300) });
    const known = async (index: number) => (await log.answerOf(`id-${index}`)) === index;
    expect(await known(10_199)).toBe(true);
    expect(await known(9_000)).toBe(true);
    let kept = 0;
    for (let index = 0; index < 10_200; index += 1) kept += (await known(index)) ? 1 : 0;
    expect(kept).toBe(10_000);
    // The forgotten ones are of the first batch, whose answers all count as equally old after a restart.
    for (let index = 900; index < 10_200; index += 1) expect(await known(index)).toBe(true);
    await log.close();
  });

  it("copies aside what recovery will consume after an unclean stop, and keeps the newest three", async () => {
    const dir = temporaryDirectory();
    const evidence = () => (existsSync(join(dir, "evidence")) ? readdirSync(join(dir, "evidence")).sort() : []);
    const cycle = async (clean: boolean) => {
      const log = await openLevelLog(dir);
      await append(log, log.head.seq);
      await log.close();
      if (!clean) renameSync(join(dir, "clean"), join(dir, "log", "not-clean"));
    };
    await cycle(true);
    await cycle(true);
    expect(evidence()).toEqual([]);
    await cycle(false);
    const wal = readdirSync(join(dir, "log")).find((name) => name.endsWith(".log")) as string;
    const bytes = readFileSync(join(dir, "log", wal));
    await cycle(false);
    expect(evidence()).toEqual(["1"]);
    expect(readFileSync(join(dir, "evidence/1", wal))).toEqual(bytes);
    expect(readdirSync(join(dir, "evidence/1"))).toEqual(expect.arrayContaining(["CURRENT"]));
    for (let round = 0; round < 4; round += 1) await cycle(false);
    expect(evidence()).toEqual(["3", "4", "5"]);
  });
});
