import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openLevelLog } from "../../../src/events/log-level.ts";
import { append, temporaryDirectory } from "./samples.ts";

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

describe("an open that LevelDB refuses", () => {
  for (const reason of ["No space left on device", "Input/output error", "Read-only file system"]) {
    it(`[F6] [F8] [F10] is no damage of the log when the disk refused: ${reason}`, async () => {
      const error = await openFailingWith(`IO error: /var/lib/portreeve/log/000011.ldb: ${reason}`);
      expect(error).toMatchObject({ code: "LOG_WRITE_FAILED", disposition: "transient" });
      expect((error as Error).message).toContain(reason);
    });
  }

  it("is damage when a file is missing or its bytes are wrong", async () => {
    for (const reason of [
      "IO error: /var/lib/portreeve/log/000011.ldb: No such file or directory",
      "Corruption: checksum mismatch",
    ]) {
      expect(await openFailingWith(reason)).toMatchObject({ code: "LOG_CORRUPT" });
    }
  });
});
