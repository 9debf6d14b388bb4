import { describe, expect, it } from "vitest";
import { openLevelLog } from "../../../src/events/log-level.ts";
import { temporaryDirectory } from "./samples.ts";

/** LevelDB's recovery fails for a moment, and the disk is well again when we look. */
async function openFailingWith(reason: string): Promise<unknown> {
  const dir = temporaryDirectory();
  const log = await openLevelLog(dir);
  await log.close();
  const openStorage = (): Promise<never> =>
    Promise.reject(new Error("Database failed to open", { cause: new Error(reason) }));
  return await openLevelLog(dir, { openStorage }).catch((cause: unknown) => cause);
}

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
