import { execFile } from "node:child_process";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect } from "vitest";
import { Gateway, runCli } from "./gateway.mjs";
import { HELD, hold } from "./held-mapping.ts";
import { eventually, type Lab, scenario } from "./lab.ts";
import { WAN_GATEWAY } from "./topology.mjs";

const run = promisify(execFile);
const ANOTHER = { ...HELD, internalPort: 9090, suggestedPort: 9090, nonce: "cd".repeat(12) };

describe("the data directory, behind the daemon's back", () => {
  scenario(
    "[F11] LOCK unlinked and a second instance on it, elsewhere: the first promises nothing more, no event is interleaved",
    {},
    async (lab) => {
      await hold(lab);
      const { dataDir, folder } = lab.gateway;
      rmSync(join(dataDir, "log", "LOCK"));
      const twin = new Gateway(lab.topology.lanSwitch, {
        dataDir,
        masterKeyFile: join(folder, "master.key"),
        lan: [],
        api: { listen: null },
      });
      try {
        await twin.start();
        await expectFenced(lab);
        expect((await twin.stop()).code).toBe(0);
      } finally {
        await twin.close();
      }
      expect((await lab.gateway.stop()).code, "a stop in safe mode").toBe(1);
      const verified = await runCli(["events", "verify", "--data-dir", dataDir]);
      expect(verified, verified.stdout + verified.stderr).toMatchObject({ code: 0 });
      await lab.gateway.start();
      await expectHeldOnly(lab);
    },
  );

  scenario(
    "[F10] removed: nothing more is promised, what was stays open; a start without it says why it cannot, one with the backup has all once an operator says so",
    {},
    async (lab) => {
      await hold(lab);
      const { dataDir, folder } = lab.gateway;
      const backup = join(folder, "backup");
      cpSync(dataDir, backup, { recursive: true });
      rmSync(dataDir, { recursive: true });
      await expectFenced(lab);
      expect((await lab.gateway.stop()).code, "a stop in safe mode").toBe(1);
      await expect(lab.gateway.start()).rejects.toThrow(
        /FOREIGN_INSTANCE[^]*ended with 4|ended with 4[^]*FOREIGN_INSTANCE/,
      );
      expect(await lab.internet.tcp({ host: WAN_GATEWAY, port: 8080 }), "still").toMatchObject({ by: "c0" });
      rmSync(dataDir, { recursive: true });
      cpSync(backup, dataDir, { recursive: true });
      // Nobody can tell from a copy whether more was promised after it was made.
      expect(await lab.gateway.start()).toMatchObject({ msg: "safe-mode", code: "LOG_RESTORED" });
      await lab.gateway.stop();
      expect(await lab.gateway.cli("events", "accept", "--yes", "--data-dir", dataDir)).toMatchObject({ code: 0 });
      await lab.gateway.start();
      await expectHeldOnly(lab);
    },
  );

  scenario(
    "[F10] read-only, while it runs and at a start: what is granted is kept, the start says why it cannot, and both mend with it",
    {},
    async (lab) => {
      await hold(lab);
      const { dataDir, pid } = lab.gateway;
      const mounts = `--mount=/proc/${pid}/ns/mnt`;
      await run("nsenter", [mounts, "mount", "--bind", dataDir, dataDir]);
      await run("nsenter", [mounts, "mount", "-o", "remount,bind,ro", dataDir]);
      expect((await lab.gateway.cli("snapshot", "create")).code, "a file that cannot be made").not.toBe(0);
      const reply = await lab.map(lab.client(), ANOTHER);
      await lab.gateway.kill();

      const host = lab.gateway.host;
      const readOnly = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"';
      const inside = ["sh", "-c", readOnly, dataDir];
      lab.gateway.host = { ...host, spawn: (command, options) => host.spawn([...inside, ...command], options) };
      await expect(lab.gateway.start()).rejects.toThrow(/ended with 1/);
      expect(lab.gateway.log.at(-1)).toMatch(/LOG_WRITE_FAILED.*read-only/);
      expect(await lab.internet.tcp({ host: WAN_GATEWAY, port: 8080 }), "meanwhile").toMatchObject({ by: "c0" });

      lab.gateway.host = host;
      await lab.gateway.start();
      const ports = (await lab.gateway.ports()).map(({ external }) => external.port);
      expect(ports).toContain(8080);
      expect(ports.includes(9090), "what was granted is there, and only that").toBe(reply?.result === 0);
    },
  );
});

/** Neither a new promise nor a renewed one; all who ask are told why; packets pass. */
async function expectFenced(lab: Lab): Promise<void> {
  expect((await lab.map(lab.client(), ANOTHER))?.result, "a new mapping").not.toBe(0);
  expect((await lab.map(lab.client(), HELD))?.result, "a renewal").not.toBe(0);
  await eventually(async () => expect(lab.gateway.log.join("\n")).toMatch(/"code":"LOG_LOCKED".*"msg":"safe-mode"/));
  expect(await lab.gateway.get("/readyz")).toMatchObject({ status: 503 });
  expect(await lab.gateway.cli("status")).toMatchObject({ code: 8 });
  expect(await lab.internet.tcp({ host: WAN_GATEWAY, port: 8080 }), "the data plane").toMatchObject({ by: "c0" });
}

async function expectHeldOnly(lab: Lab): Promise<void> {
  expect((await lab.gateway.ports()).map(({ external }) => external.port)).toEqual([8080]);
  await eventually(async () => {
    expect(await lab.internet.tcp({ host: WAN_GATEWAY, port: 8080 })).toMatchObject({ by: "c0" });
  });
}
