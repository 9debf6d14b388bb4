import { describe, expect, it } from "vitest";
import type { BackupRequest } from "../../../src/cli/programs.ts";
import { run } from "./shell.ts";

const env = { PORTREEVE_DATA_DIR: "/data", PORTREEVE_MASTER_KEY_FILE: "/etc/key" };

describe("backup and restore", () => {
  it("take the directory and the master key of the configuration, and say what is in the file", async () => {
    const asked: BackupRequest[] = [];
    const backup = (request: BackupRequest) => {
      asked.push(request);
      return Promise.resolve({ file: request.file, head: 1842, secrets: 3 });
    };
    const without = await run(["backup", "a.backup"], { env, programs: { backup } });
    expect(without.out).toMatch(/^a.backup holds every record up to 1842, and no secrets: /);
    const line = ["backup", "b.backup", "--data-dir", "/other", "--passphrase-file", "/pass"];
    expect((await run(line, { env, programs: { backup } })).out).toBe(
      "b.backup holds every record up to 1842, and 3 secrets.\n",
    );
    expect(asked).toEqual([
      { file: "a.backup", dataDir: "/data", masterKeyFile: "/etc/key", passphraseFile: null },
      { file: "b.backup", dataDir: "/other", masterKeyFile: "/etc/key", passphraseFile: "/pass" },
    ]);
  });

  it("restore only into a directory that was named, and says what to do next", async () => {
    const restore = ({ dataDir }: BackupRequest) => Promise.resolve({ dataDir, head: 7, secrets: 0, left: 2 });
    expect((await run(["restore", "a.backup"], { env, programs: { restore } })).code).toBe(2);
    const done = await run(["restore", "a.backup", "--data-dir", "/new"], { env, programs: { restore } });
    expect(done.out).toContain("none of its 2 secrets, for want of --passphrase-file");
    expect(done.out).toContain("`portreeve events accept --data-dir /new`");
  });
});
