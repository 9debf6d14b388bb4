import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { nftProgram } from "../../../../src/adapters/nftables/nft-library.ts";

it("[F20] an nft that hangs is given up and does not live on", async () => {
  const folder = mkdtempSync(join(tmpdir(), "portreeve-nft-"));
  try {
    const [program, pidFile] = [join(folder, "nft"), join(folder, "pid")];
    writeFileSync(program, `#!/bin/sh\necho $$ > ${pidFile}\nexec sleep 60\n`, { mode: 0o755 });
    expect(nftProgram(program, 1000).transact("list tables")).toMatchObject({ ok: false });
    const pid = Number(readFileSync(pidFile, "utf8"));
    expect(pid).toBeGreaterThan(1);
    await expect.poll(() => isRunning(pid), { timeout: 5000 }).toBe(false);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

function isRunning(pid: number): boolean {
  try {
    // Fields after the name in brackets (proc(5)): a zombie has ended.
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
