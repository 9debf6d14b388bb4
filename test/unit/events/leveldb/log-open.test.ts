import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openLevelLog } from "../../../../src/events/leveldb/level-log.ts";
import { type OpenStorage, openLevelStorage } from "../../../../src/events/leveldb/storage.ts";
import { verifyLog } from "../../../../src/events/leveldb/verify.ts";
import type { EventLog } from "../../../../src/events/log.ts";
import { append, temporaryDirectory } from "../samples.ts";
import { FailingDisk } from "./failing-storage.ts";

/** LevelDB's recovery fails for a moment, and the disk is well again when we look. */
async function openFailingWith(reason: string): Promise<unknown> {
  const dir = temporaryDirectory();
  const log = await openLevelLog(dir);
  await log.close();
  const openStorage = (): Promise<never> =>
    Promise.reject(new Error("Database failed to open", { cause: new Error(reason) }));
  return await openLevelLog(dir, { openStorage }).catch((cause: unknown) => cause);
}

describe("an open after a first start that was killed", () => {
  for (const [what, bytes] of [
    ["made and not yet written", 0],
    ["written with the zeros it begins with", 8192],
  ] as const) {
    it(`[F1] [F4] begins the log if the head witness was ${what}`, async () => {
      const dir = temporaryDirectory();
      await (await openLevelLog(dir)).close();
      writeFileSync(join(dir, "witness"), Buffer.alloc(bytes));
      const log = await openLevelLog(dir);
      expect(log.head.seq).toBe(0);
      await append(log, 0, 2);
      await log.close();
      const again = await openLevelLog(dir);
      expect(again.head.seq).toBe(2);
      await again.close();
    });

    it(`[F5] refuses to if there are records, and the witness is as if ${what}`, async () => {
      const dir = temporaryDirectory();
      const log = await openLevelLog(dir);
      await append(log, 0, 2);
      await log.close();
      writeFileSync(join(dir, "witness"), Buffer.alloc(bytes));
      await expect(openLevelLog(dir)).rejects.toMatchObject({ code: "LOG_CORRUPT", seq: 3 });
    });
  }
});

describe("a first open", () => {
  for (const failure of ["before", "after"] as const) {
    it(`[F1] [F4] puts the log in its place whole: one that fails (${failure} its first write) leaves none, the next begins`, async () => {
      const dir = temporaryDirectory();
      const disk = new FailingDisk();
      disk.failWrite = () => failure;
      await expect(openLevelLog(dir, { openStorage: disk.openStorage })).rejects.toThrow();
      expect(existsSync(join(dir, "log"))).toBe(false);
      const log = await openLevelLog(dir);
      await append(log, 0, 2);
      await log.close();
      expect(readdirSync(dir).sort()).toEqual(["clean", "log", "witness"]);
    });
  }

  it("[F10] is refused while another one is under way", async () => {
    const dir = temporaryDirectory();
    const other = await openLevelStorage(join(dir, "log.new"));
    await expect(openLevelLog(dir)).rejects.toMatchObject({ code: "LOG_LOCKED" });
    await other.close();
    await (await openLevelLog(dir)).close();
  });

  it("[F10] takes nothing from another one that was faster", async () => {
    const dir = temporaryDirectory();
    let faster: EventLog | null = null;
    const openStorage: OpenStorage = async (directory) => {
      faster ??= await openLevelLog(dir);
      if (faster.head.seq === 0) await append(faster, 0, 2);
      return await openLevelStorage(directory);
    };
    await expect(openLevelLog(dir, { openStorage })).rejects.toMatchObject({ code: "LOG_LOCKED" });
    const log = faster as unknown as EventLog;
    await append(log, 2, 1);
    await log.close();
    const again = await openLevelLog(dir, { verify: true });
    expect(again.head.seq).toBe(3);
    await again.close();
  });
});

it("an open removes what a kill left of files that were being written, and nothing else [F1]", async () => {
  const dir = temporaryDirectory();
  await (await openLevelLog(dir)).close();
  for (const place of ["", "snapshots", "archive", "secrets"]) {
    mkdirSync(join(dir, place), { recursive: true });
    writeFileSync(join(dir, place, "00000000000007.json.00c0ffee.tmp"), "{");
    writeFileSync(join(dir, place, "notes.tmp"), "an operator's");
  }
  await (await openLevelLog(dir)).close();
  const left = readdirSync(dir, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith(".tmp"));
  expect(new Set(left)).toEqual(
    new Set(["archive/notes.tmp", "notes.tmp", "secrets/notes.tmp", "snapshots/notes.tmp"]),
  );
});

describe("an open without CURRENT", () => {
  const lose: Record<string, (dir: string) => void> = {
    "whose log directory is gone": (dir) => rmSync(join(dir, "log"), { recursive: true }),
    "whose log directory is empty": (dir) => {
      rmSync(join(dir, "log"), { recursive: true });
      mkdirSync(join(dir, "log"));
    },
    "that has lost it": (dir) => rmSync(join(dir, "log/CURRENT")),
    "that has lost it and the witness": (dir) => {
      rmSync(join(dir, "log/CURRENT"));
      rmSync(join(dir, "witness"));
    },
    "of which a MANIFEST alone is left": (dir) => {
      for (const name of readdirSync(join(dir, "log")))
        if (!name.startsWith("MANIFEST-")) rmSync(join(dir, "log", name));
      rmSync(join(dir, "witness"));
    },
  };
  for (const [what, harm] of Object.entries(lose)) {
    it(`[F5] ${what} begins no new log`, async () => {
      const dir = temporaryDirectory();
      const log = await openLevelLog(dir);
      await append(log, 0, 2);
      await log.close();
      harm(dir);
      for (let attempt = 0; attempt < 2; attempt += 1)
        await expect(openLevelLog(dir)).rejects.toMatchObject({ code: "LOG_CORRUPT", seq: 1, remedy: "salvage" });
      expect((await verifyLog(dir)).fault).toMatchObject({ code: "LOG_CORRUPT", seq: 1, remedy: "salvage" });
    });
  }
});

describe("an open that LevelDB refuses", () => {
  for (const reason of ["No space left on device", "Input/output error", "Read-only file system"]) {
    it(`[F6] [F8] [F10] is no damage of the log when the disk refused: ${reason}`, async () => {
      const error = await openFailingWith(`IO error: /var/lib/portreeve/log/000011.ldb: ${reason}`);
      expect(error).toMatchObject({ code: "LOG_WRITE_FAILED", disposition: "transient" });
      expect((error as Error).message).toContain(reason);
    });
  }

  it("[F6] [F8] is looked at again: a disk that refused one call damaged nothing", async () => {
    const dir = temporaryDirectory();
    await (await openLevelLog(dir)).close();
    let looks = 0;
    const openStorage: OpenStorage = (place) => {
      looks += 1;
      const cause = new Error("Corruption: CURRENT file does not end with newline");
      return looks === 1 ? Promise.reject(new Error("Database failed to open", { cause })) : openLevelStorage(place);
    };
    const log = await openLevelLog(dir, { openStorage });
    expect(looks).toBe(2);
    expect(existsSync(join(dir, "suspect"))).toBe(false);
    await log.close();
  });

  it("[F6] [F8] is looked at again when a file of the log could not be read and the log ends too early", async () => {
    const dir = temporaryDirectory();
    const empty = temporaryDirectory();
    for (const place of [dir, empty]) {
      const log = await openLevelLog(place);
      if (place === dir) await append(log, 0, 3);
      await log.close();
    }
    let looks = 0;
    const openStorage: OpenStorage = (place) => {
      looks += 1;
      return openLevelStorage(looks === 1 ? join(empty, "log") : place);
    };
    const log = await openLevelLog(dir, { openStorage });
    expect([looks, log.head.seq]).toEqual([2, 3]);
    await log.close();
  });

  it("is damage when a file is missing or its bytes are wrong", async () => {
    for (const reason of [
      "IO error: /var/lib/portreeve/log/000011.ldb: No such file or directory",
      "Corruption: checksum mismatch",
    ]) {
      expect(await openFailingWith(reason)).toMatchObject({ code: "LOG_CORRUPT" });
    }
  });
});
