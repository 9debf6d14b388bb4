import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { WireguardDevices } from "../../../../src/adapters/wireguard/device.ts";
import { ProgramError, type Run } from "../../../../src/adapters/wireguard/program.ts";

/** What that bash prints with this file in the home directory, its stdin a socket as all of ours are. */
function printed(options: readonly string[], home: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const env = { PATH: process.env["PATH"] ?? "", HOME: home };
    const child = execFile("bash", [...options, "-c", "echo ran"], { env }, (error, stdout) => {
      if (error === null) resolve(stdout);
      else reject(error);
    });
    child.stdin?.on("error", () => undefined);
    child.stdin?.end("");
  });
}

it("runs no start-up file of the machine's root: it may hang, print or change the PATH", async () => {
  const shells: (readonly string[])[] = [];
  const run: Run = (program, args) => {
    if (program !== "bash") return Promise.reject(new ProgramError(program, "EOPNOTSUPP"));
    shells.push(args.slice(0, args.indexOf("-c")));
    return Promise.resolve("");
  };
  const devices = new WireguardDevices(run);
  await devices.create("wg0");
  await devices.add("wg0", { interface: { listenPort: 51820 } });
  expect(shells).toHaveLength(2);
  const home = mkdtempSync(join(tmpdir(), "portreeve-test-"));
  try {
    writeFileSync(join(home, ".bashrc"), "echo start-up file\n");
    for (const options of shells) expect(await printed(options, home)).toBe("ran\n");
  } finally {
    rmSync(home, { recursive: true });
  }
});
