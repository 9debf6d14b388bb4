import { readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { environment } from "../torture/failpoints.mjs";
import { eventually, type Lab, scenario } from "./lab.ts";
import { expectSafe, expectSafeMode, expectServing, offline, servePort, takeUp } from "./safe-mode.ts";

const PORT = 8080;
const SALVAGE = { code: "LOG_CORRUPT", next: "portreeve events salvage", openPort: PORT };

const logFolder = (lab: Lab): string => join(lab.gateway.dataDir, "log");

function removeManifest(lab: Lab): void {
  const folder = logFolder(lab);
  const manifests = readdirSync(folder).filter((name) => name.startsWith("MANIFEST-"));
  expect(manifests).not.toEqual([]);
  for (const name of manifests) rmSync(join(folder, name));
}

/** Files that go while the daemon is down; it was killed, so that no snapshot covers the newest records. */
const GONE: Record<string, (lab: Lab) => void> = {
  CURRENT: (lab) => rmSync(join(logFolder(lab), "CURRENT")),
  "the MANIFEST": removeManifest,
};

interface Edit {
  readonly module: string;
  readonly from: string;
  readonly to: string;
}

/** The environment of a program that is this one but for the edits. */
const programWith = (edits: readonly Edit[]): Record<string, string> =>
  environment(
    { name: "none", module: "events/leveldb/log-open", of: "openAndCheck", when: "after", edits },
    Number.MAX_SAFE_INTEGER,
  );

/** Of before the grants of this one: it knows everything but them. */
const OLDER = programWith([
  { module: "events/index", from: '"mapping.granted": {', to: '"mapping.bestowed": {' },
  { module: "events/upcast", from: 'type: "mapping.granted", from: 1', to: 'type: "mapping.bestowed", from: 1' },
  { module: "events/upcast", from: 'type: "mapping.granted", from: 3', to: 'type: "mapping.bestowed", from: 3' },
  { module: "events/upcast", from: 'type: "mapping.granted",\n', to: 'type: "mapping.bestowed",\n' },
]);

/** With a bug: its fold takes no grant. */
const STUMBLING = programWith([
  {
    module: "reducers/mapping",
    from: "assert(tableGet(draft.mappings, data.id) === undefined",
    to: "assert(tableGet(draft.mappings, data.id) !== undefined",
  },
]);

describe("a data directory of which a part is gone", () => {
  for (const [what, remove] of Object.entries(GONE)) {
    scenario(
      `[E1] [F5] ${what}: safe mode, salvage, and every promise is kept`,
      { timeoutMs: 120_000 },
      async (lab) => {
        await servePort(lab, PORT);
        await lab.gateway.kill();
        remove(lab);
        await expectSafeMode(lab, SALVAGE);
        const salvaged = await offline(lab, "events", "salvage", "--yes");
        expect(salvaged.stdout + salvaged.stderr).toContain("No acknowledged record is lost");
        takeUp(lab, salvaged);
        await expectServing(lab, PORT);
        const resets = await lab.gateway.json<unknown[]>("events", "list", "--type", "epoch");
        expect(resets, "no device need ask again").toEqual([]);
      },
    );
  }

  scenario("[E7] the whole log: salvage begins with the newest snapshot", { timeoutMs: 120_000 }, async (lab) => {
    await servePort(lab, PORT);
    await lab.gateway.stop();
    rmSync(logFolder(lab), { recursive: true });
    await expectSafeMode(lab, SALVAGE);
    takeUp(lab, await offline(lab, "events", "salvage", "--yes"));
    await expectServing(lab, PORT);
  });

  scenario(
    "[E1] [F3] the head witness: an operator says that nothing came after, and devices ask again",
    { timeoutMs: 120_000 },
    async (lab) => {
      await servePort(lab, PORT);
      await lab.gateway.kill();
      rmSync(join(lab.gateway.dataDir, "witness"));
      await expectSafeMode(lab, { code: "LOG_CORRUPT", next: "portreeve events accept", openPort: PORT });
      expect((await offline(lab, "events", "accept")).code, "unasked").toBe(2);
      const accepted = await offline(lab, "events", "accept", "--yes");
      expect(accepted, accepted.stderr).toMatchObject({ code: 0 });
      await expectServing(lab, PORT);
      expect(await lab.gateway.json<unknown[]>("events", "list", "--type", "epoch")).toHaveLength(1);
    },
  );
});

describe("a log that this program may not write", () => {
  scenario(
    "[E1] [F14] [F15] of a newer version, or with a record that its fold does not take: it waits and names it, and the right version goes on as if nothing had been",
    { timeoutMs: 120_000 },
    async (lab) => {
      await servePort(lab, PORT);
      const { version } = await lab.gateway.json<{ version: string }>("status");
      await lab.gateway.kill();
      const next = "run that version again, or a newer one";
      await expectSafeMode(lab, { code: "LOG_NEWER_VERSION", next, openPort: PORT, env: OLDER });
      expect(lab.gateway.log.join("\n")).toContain(`Portreeve ${version} wrote it`);
      await expectServing(lab, PORT);
      await lab.gateway.kill();
      const restore = `portreeve snapshot restore --data-dir ${lab.gateway.dataDir}`;
      await expectSafeMode(lab, { code: "LOG_CORRUPT", next: restore, verify: 0, openPort: PORT, env: STUMBLING });
      expect(lab.gateway.log.join("\n")).toContain('"mapping.granted\\", does not fit what comes before it');
      await expectServing(lab, PORT);
    },
  );

  scenario(
    "[F11] whose LOCK another took, while devices only renew: no answer within seconds; checked and started again it serves",
    { timeoutMs: 120_000 },
    async (lab) => {
      await servePort(lab, PORT);
      const lock = join(logFolder(lab), "LOCK");
      renameSync(lock, `${lock}-of-another`);
      writeFileSync(lock, "");
      const line = await eventually(async () => {
        const said = lab.gateway.log.find((each) => each.includes('"msg":"safe-mode"'));
        expect(said).toBeDefined();
        return JSON.parse(said as string) as Record<string, unknown>;
      });
      const next = `portreeve events verify --data-dir ${lab.gateway.dataDir}`;
      await expectSafe(lab, line, { code: "LOG_LOCKED", next, verify: 0, openPort: PORT });
      expect((await lab.gateway.cli("snapshot", "create")).code, "a file in another's directory").toBe(4);
      expect((await lab.gateway.stop()).code, "run").toBe(1);
      expect(await offline(lab, "events", "verify")).toMatchObject({ code: 0 });
      await expectServing(lab, PORT);
    },
  );
});
