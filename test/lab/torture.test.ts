import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Tally, count, emptyTally, runPoints } from "../torture/campaign.mjs";
import { allSeries, bulkFamilies } from "../torture/families.mjs";
import { Lane } from "../torture/lane.mjs";
import { judge, loadLibrary } from "../torture/oracle.mjs";
import { findProgram, missingForLab } from "./topology.mjs";

/** A few of each kind out of what `npm run torture` does whole; each was found to fire. */
const KILLS = [
  "kill/new/boot/openat/5",
  "kill/new/boot/pwrite64/1",
  "kill/stopped/boot/rename/1",
  "kill/killed/boot/fdatasync/3",
  "kill/stopped/serve/write/4",
  "kill/stopped/serve/fdatasync/1",
  "kill/killed/serve/fdatasync/6",
  "kill/killed/serve/pwrite64/5",
  "kill/stopped/stop/fdatasync/1",
  "kill/killed/snapshot/rename/1",
  "kill/long/compact/fdatasync/5",
];
const STEPS = [
  "step/killed/boot/evidence-set-aside/1",
  "step/killed/boot/start-appended/1",
  "step/stopped/boot/first-pass/1",
  "step/stopped/serve/decided/2",
  "step/stopped/serve/stored-witness-not-told/2",
  "step/stopped/serve/appended/4",
  "step/stopped/serve/applied/1",
  "step/stopped/serve/settled-not-replied/3",
  "step/stopped/serve/snapshot-written/2",
  "step/stopped/serve/checkpoint-appended/1",
  "step/long/compact/archived-not-removed/1",
];
const DISKS = [
  "error/boot/EIO/fdatasync/once/2",
  "error/serve/EIO/fdatasync/once/3",
  "error/serve/EIO/write/lasting/5",
  "error/serve/ENOSPC/write/lasting/2",
  "full/tmpfs/serving/3",
  "error/compact/ENOSPC/write/lasting/12",
];
const REMOVALS = [
  "removal/kill/openat/12",
  "removal/kill/pwrite64/5",
  "removal/step/before-peers-leave/1",
  "removal/step/after-interface-leaves/1",
  "removal/step/place-overwritten/6",
  "removal/step/settled-not-replied/6",
];
/** Of signed updates of names; the whole is a hundred kills in a thousand of them, and each step. */
const NAMES = ["names/step/appended/1", "names/step/stored-witness-not-told/2", "names/step/verdict-heard/1"];
/** Of what HAProxy and the kernel share; the whole is each step, three times. */
const SHARED = ["shared/step/appended/2", "shared/step/names-kept/2", "shared/step/forwards-applied/3"];
const SEED = Number(process.env["PORTREEVE_SEED"] ?? 20_240_501);
const EXTENT = { seed: SEED, probes: 600, stride: 131 };
const POWER_STRIDE = 11;
const JOBS = 2;

const program = ["strace", "wg", "wireguard-go"].find((name) => findProgram(name) === null);
const missing = missingForLab() ?? (program === undefined ? null : `the program "${program}" is not installed`);

describe("the built program under injected faults", () => {
  let folder = "";
  beforeAll(() => {
    if (existsSync("/dev/shm")) process.env["TMPDIR"] = "/dev/shm";
    folder = mkdtempSync(join(tmpdir(), "portreeve-torture-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  for (const [name, points] of [
    ["[F1] killed at a system call of its storage", KILLS],
    ["[F2] killed between two of its steps", STEPS],
    ["[F6] [F7] [F8] on a disk that fails or is full for a while", DISKS],
    ["[F1] [F2] [D3] killed between a signed update of names and its answer", NAMES],
    ["[F2] killed while names, a forward and the redirect come and go on shared ports", SHARED],
    ["[F54] killed while devices and subnets go, with nothing of them left afterwards", REMOVALS],
  ] as const) {
    test(`${name}, keeps all that was acknowledged`, { timeout: 240_000 }, async (context) => {
      if (missing !== null) context.skip(missing);
      if (points === SHARED && findProgram("haproxy") === null) context.skip('the program "haproxy" is not installed');
      const wrong: string[] = [];
      let fired = 0;
      const onPoint = (
        _: unknown,
        { point, result }: { point: string; result: { fired: boolean; faults: string[] } },
      ) => {
        fired += result.fired ? 1 : 0;
        if (!result.fired) wrong.push(`${point} did not fire`);
        wrong.push(...result.faults.map((fault) => `npm run torture -- --point ${point}: ${fault}`));
      };
      await runPoints(allSeries(), points, { folder, jobs: JOBS, onPoint });
      expect(wrong).toEqual([]);
      expect(fired).toBe(points.length);
    });
  }

  for (const [name, leastWhole, leastSafe] of [
    ["corrupt", 100, 300],
    ["power", 100, 0],
  ] as const) {
    const family = bulkFamilies({ ...EXTENT, ...(name === "power" && { stride: POWER_STRIDE }) }).find(
      (each) => each.name === name,
    );
    test(`[${family?.faults.replace(" ", "] [")}] ${name}: whole, or in safe mode with the record named`, {
      timeout: 240_000,
    }, async (context) => {
      if (missing !== null) context.skip(missing);
      if (family === undefined) throw new Error(`there is no family ${name}`);
      const tally: Tally = emptyTally();
      const wrong: string[] = [];
      for await (const { point, verdict } of family.run(join(folder, name))) {
        count(tally, verdict);
        wrong.push(...verdict.faults.map((fault: string) => `seed ${SEED}: ${point}: ${fault}`));
      }
      expect(wrong).toEqual([]);
      expect(tally.whole).toBeGreaterThan(leastWhole);
      expect(tally.safe).toBeGreaterThanOrEqual(leastSafe);
    });
  }

  test("is judged by an oracle that sees a promise that is not kept", { timeout: 60_000 }, async (context) => {
    if (missing !== null) context.skip(missing);
    const lane = await Lane.open();
    try {
      await lane.begin(null);
      await lane.start();
      expect(await lane.load(0)).toBe(true);
      const { mapped } = lane.promises.read();
      const [kept] = mapped;
      if (kept === undefined) throw new Error("the load was promised nothing");
      await lane.gateway.kill();
      lane.promises.granted({ ...kept, internalPort: 3999 });
      lane.promises.granted({ ...kept, externalPort: kept.externalPort + 1 });
      lane.promises.granted({ ...kept, internalPort: 4002, externalPort: 14_002, endsAt: Date.now() + 86_400_000 });
      const { faults } = await judge(lane, await loadLibrary());
      expect(faults).toEqual([
        expect.stringContaining("moved"),
        expect.stringContaining("ends early"),
        expect.stringContaining("lost"),
      ]);
    } finally {
      await lane.close();
    }
  });
});
