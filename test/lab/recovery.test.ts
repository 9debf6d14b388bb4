import { cpSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { event } from "../../src/events/index.ts";
import { openLevelLog } from "../../src/events/leveldb/level-log.ts";
import { eventually, type Lab, scenario } from "./lab.ts";
import { ask, expectSafeMode, expectServing, logFile, offline, servePort, takeUp } from "./safe-mode.ts";

interface Status {
  readonly seq: number;
  readonly log: { readonly base: number; readonly verification: { readonly state: string } | null };
}

/** A port whose grant is the newest record: what the gateway sees of the kernel may come between. */
async function grantedLast(lab: Lab, from: number): Promise<{ seq: number; port: number }> {
  for (let port = from; ; port += 1) {
    expect(await ask(lab, lab.client(), port)).toMatchObject({ result: 0 });
    const { seq } = await lab.gateway.json<Status>("status");
    const record = await lab.gateway.json<{ type: string }>("events", "show", String(seq));
    if (record.type === "mapping.granted") return { seq, port };
  }
}

describe("a damaged log", () => {
  scenario(
    "[E1] [F5] with a flipped bit in a table: safe mode, salvage, and every promise is kept",
    { timeoutMs: 120_000 },
    async (lab) => {
      await servePort(lab, 8080);
      await lab.gateway.stop();
      await lab.gateway.start();
      await lab.gateway.stop();
      const table = logFile(lab, ".ldb");
      const bytes = readFileSync(table);
      bytes[200] = (bytes[200] as number) ^ 1;
      writeFileSync(table, bytes);
      await expectSafeMode(lab, { code: "LOG_CORRUPT", next: "portreeve events salvage", openPort: 8080 });

      const unasked = await offline(lab, "events", "salvage");
      expect([unasked.code, unasked.stderr]).toEqual([2, expect.stringContaining("--yes")]);
      expect(unasked.stderr, "the plan comes first").toContain("No acknowledged record is lost");
      takeUp(lab, await offline(lab, "events", "salvage", "--yes"));
      await expectServing(lab, 8080);
    },
  );

  scenario(
    "[E1] [F3] whose tail was cut off: what is lost is named, an operator goes on, clients ask again",
    { timeoutMs: 120_000 },
    async (lab) => {
      await servePort(lab, 8080);
      const before = await ask(lab, lab.client(), 8080);
      await lab.gateway.kill();
      await lab.gateway.start();
      const grown = await ask(lab, lab.client(), 8080);
      expect(grown?.epoch).toBeGreaterThanOrEqual(before?.epoch ?? 0);
      const grownAt = performance.now();
      const { seq, port } = await grantedLast(lab, 8081);
      await lab.gateway.kill();
      const wal = logFile(lab, ".log");
      truncateSync(wal, statSync(wal).size - 1);
      await expectSafeMode(lab, { code: "LOG_CORRUPT", next: "portreeve events accept", openPort: 8080 });

      const unasked = await offline(lab, "events", "accept");
      expect([unasked.code, unasked.stderr]).toEqual([
        2,
        expect.stringMatching(new RegExp(`record ${seq} was acknowledged`)),
      ]);
      const accepted = await offline(lab, "events", "accept", "--yes", "--json");
      expect(accepted, accepted.stderr).toMatchObject({ code: 0 });
      expect(JSON.parse(accepted.stdout)).toMatchObject({ head: seq - 1, known: seq, reset: seq });
      await expectServing(lab, 8080);
      const after = await ask(lab, lab.client(), 8080);
      // What a client expects of an epoch that was not reset, with the tolerance it has (RFC 6887 §8.5).
      const expected = (grown?.epoch ?? 0) + (performance.now() - grownAt) / 1000;
      expect(after?.epoch, "RFC 6887 §8.5").toBeLessThan(expected - 1);
      const ports = (await lab.gateway.ports()).map(({ external }) => external.port);
      expect(ports).toContain(8080);
      expect(ports).not.toContain(port);
    },
  );

  scenario(
    "[F12] that is a restored backup is recognised, and goes on once an operator says so",
    { timeoutMs: 120_000 },
    async (lab) => {
      await servePort(lab, 8080);
      await lab.gateway.stop();
      const { dataDir } = lab.gateway;
      cpSync(dataDir, `${dataDir}.backup`, { recursive: true });
      await lab.gateway.start();
      expect(await ask(lab, lab.client(), 8081)).toMatchObject({ result: 0 });
      await lab.gateway.stop();
      rmSync(dataDir, { recursive: true });
      cpSync(`${dataDir}.backup`, dataDir, { recursive: true });
      await expectSafeMode(lab, { code: "LOG_RESTORED", next: "portreeve events accept", verify: 0, openPort: 8080 });

      expect((await offline(lab, "events", "accept", "--yes")).code).toBe(0);
      await expectServing(lab, 8080);
      const resets = await lab.gateway.json<{ data: { reason: string } }[]>("events", "list", "--type", "epoch");
      expect(resets).toHaveLength(1);
      expect(resets[0]?.data.reason).toContain("an operator confirmed");
    },
  );

  scenario("[E7] of which nothing is left goes on from its snapshot", { timeoutMs: 120_000 }, async (lab) => {
    await servePort(lab, 8080);
    await lab.gateway.stop();
    rmSync(join(lab.gateway.dataDir, "log"), { recursive: true });
    await expectSafeMode(lab, { code: "LOG_CORRUPT", next: "portreeve events salvage", openPort: 8080 });
    const restored = await offline(lab, "snapshot", "restore", "--yes");
    takeUp(lab, restored);
    await lab.gateway.start({});
    expect((await lab.gateway.ports()).map(({ external }) => external.port)).toEqual([8080]);
    const { log } = await lab.gateway.json<Status>("status");
    expect(log.base).toBeGreaterThan(0);
    const gone = await lab.gateway.cli("events", "show", "1");
    expect([gone.code, gone.stderr]).toEqual([3, expect.stringContaining("no longer there")]);
  });
});

describe("a long log", () => {
  const RECORDS = 12_000;

  scenario(
    "[E7] [F13] is saved while it runs, leaves its past to the archive, and says what is no longer there",
    { config: { log: { retain: { events: 1000, days: 365 } } }, timeoutMs: 120_000 },
    async (lab) => {
      await servePort(lab, 8080);
      await lab.gateway.stop();
      await lengthen(lab.gateway.dataDir, RECORDS);
      await lab.gateway.start();
      await eventually(async () => {
        const [newest] = await lab.gateway.json<{ seq: number }[]>("snapshot", "list");
        expect(newest?.seq).toBeGreaterThan(RECORDS);
        const { log } = await lab.gateway.json<Status>("status");
        expect(log.verification).toMatchObject({ state: "ok" });
      }, 20_000);
      await lab.gateway.stop();
      await lab.gateway.start();
      const { seq, log } = await eventually(async () => {
        const status = await lab.gateway.json<Status>("status");
        expect(status.log.base).toBeGreaterThan(RECORDS - 1000);
        return status;
      }, 20_000);
      expect(seq - log.base).toBeGreaterThanOrEqual(1000);

      expect(await lab.gateway.json("events", "show", "1")).toMatchObject({ seq: 1 });
      expect(await lab.gateway.json("state", "show", "--at", "20")).toMatchObject({ seq: 20 });
      expect((await lab.gateway.cli("why", "port", "8080/tcp")).code).toBe(0);
      const replayed = await offline(lab, "replay", "--verify", "--json");
      expect(replayed, replayed.stderr).toMatchObject({ code: 0 });
      const live = await lab.gateway.json<{ hash: string }>("state", "show", "--at", `${seq}`);
      expect(JSON.parse(replayed.stdout)).toMatchObject({ hash: live.hash });

      const archive = join(lab.gateway.dataDir, "archive");
      expect(readdirSync(archive).length).toBeGreaterThan(0);
      rmSync(archive, { recursive: true });
      for (const command of [
        ["events", "show", "1"],
        ["state", "show", "--at", "20"],
        ["events", "list", "--after", "0"],
      ]) {
        const gone = await lab.gateway.cli(...command);
        expect([command.join(" "), gone.code]).toEqual([command.join(" "), 3]);
        expect(gone.stderr).toMatch(/no longer there|can't be told any more/);
      }
      const verified = await lab.gateway.cli("events", "verify");
      expect([verified.code, verified.stdout]).toEqual([0, expect.stringContaining(`Records up to ${log.base}`)]);
      expect((await offline(lab, "replay", "--verify")).code, "from the base").toBe(0);
      await lab.gateway.kill();
      await expectServing(lab, 8080);
    },
  );
});

/** Adds records that change nothing for anyone, to the log of a stopped daemon. */
async function lengthen(dataDir: string, count: number): Promise<void> {
  const log = await openLevelLog(dataDir);
  const resumed = event("reconciler.resumed", { name: "none" });
  let at = 0;
  for await (const record of log.read(log.head.seq - 1)) at = record.at;
  for (let done = 0; done < count; done += 1000) {
    const one = { at, source: "controller", requestId: "long", causedBy: null, event: resumed };
    await log.append({ expectedHead: log.head.seq, records: Array.from({ length: 1000 }, () => one), answers: [] });
  }
  await log.close();
}
