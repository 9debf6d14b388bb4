import { existsSync, renameSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { event } from "../../src/events/index.ts";
import { eventKey } from "../../src/events/leveldb/keys.ts";
import { openLevelLog } from "../../src/events/leveldb/level-log.ts";
import { openLevelStorage } from "../../src/events/leveldb/storage.ts";
import { runCli } from "./gateway.mjs";
import { eventually, type Lab, scenario } from "./lab.ts";
import { WAN_GATEWAY } from "./topology.mjs";

const RECORDS = 20_000;
const HOLE = 7000;
const PORT = 8080;
/** PCP NO_RESOURCES, RFC 6887 §7.4. */
const NO_RESOURCES = 8;

interface Status {
  readonly mode: string;
  readonly fault: { readonly code: string; readonly seq: number } | null;
  readonly log: { readonly verification: { readonly state: string; readonly through: number } | null };
}

const ask = (lab: Lab, port: number) => {
  const asked = {
    protocol: "tcp",
    internalPort: port,
    suggestedPort: port,
    lifetime: 7200,
    nonce: "7a".repeat(12),
  } as const;
  return lab.map(lab.client(), asked);
};

const verified = (lab: Lab, state: string): Promise<Status> =>
  eventually(async () => {
    const status = JSON.parse((await lab.gateway.get("/api/v1/status")).body) as Status;
    expect(status.log.verification).toMatchObject({ state });
    return status;
  }, 60_000);

/** Adds records that change nothing for anyone, to the log of a stopped daemon. */
async function lengthen(dataDir: string): Promise<void> {
  const log = await openLevelLog(dataDir);
  let at = 0;
  for await (const record of log.read(log.head.seq - 1)) at = record.at;
  const seen = event("reconciler.resumed", { name: "none" });
  const one = { at, source: "controller", requestId: "long", causedBy: null, event: seen };
  const records = Array.from({ length: 2000 }, () => one);
  while (log.head.seq < RECORDS) await log.append({ expectedHead: log.head.seq, records, answers: [] });
  await log.close();
}

describe("a log that a start does not read to its beginning", () => {
  scenario(
    "[F5] is checked beside the work: a record that is missing there ends the promises, is named, and loses no mapping",
    { timeoutMs: 180_000 },
    async (lab) => {
      const { gateway } = lab;
      const { dataDir } = gateway;
      await lab.client().listen({ tcp: [PORT] });
      expect(await ask(lab, PORT)).toMatchObject({ result: 0, externalPort: PORT });
      await gateway.stop();
      await lengthen(dataDir);
      await gateway.start();
      expect((await verified(lab, "ok")).log.verification?.through).toBeGreaterThan(RECORDS);
      expect(existsSync(join(dataDir, "unchecked")), "all tables were looked at").toBe(false);
      await gateway.stop(); // and saves the state

      const storage = await openLevelStorage(join(dataDir, "log"));
      await storage.write([{ type: "del", key: eventKey(HOLE) }]);
      await storage.close();
      expect(await gateway.start()).toMatchObject({ msg: "ready" });
      const { mode, fault } = await verified(lab, "damaged");
      expect({ mode, fault }).toMatchObject({ mode: "safe", fault: { code: "LOG_CORRUPT", seq: HOLE } });
      expect(await ask(lab, 9000)).toMatchObject({ result: NO_RESOURCES });
      expect(await lab.internet.tcp({ host: WAN_GATEWAY, port: PORT })).toMatchObject({ by: "c0" });
      expect((await gateway.stop()).code).toBe(1);
      expect(await gateway.start(), "the next start knows").toMatchObject({ msg: "safe-mode", seq: HOLE });
      await gateway.stop();

      const salvage = await runCli(["events", "salvage", "--data-dir", dataDir, "--yes", "--json"]);
      expect(salvage.code, salvage.stderr).toBe(0);
      const report = JSON.parse(salvage.stdout) as { target: string; after: number; lost: unknown };
      expect(report.after, "begins with the saved state").toBeGreaterThan(RECORDS);
      expect(report.lost).toBeNull();
      renameSync(dataDir, `${dataDir}.damaged`);
      renameSync(report.target, dataDir);
      expect(await gateway.start()).toMatchObject({ msg: "ready" });
      expect(await gateway.ports()).toMatchObject([{ external: { port: PORT } }]);
      expect(await lab.internet.tcp({ host: WAN_GATEWAY, port: PORT })).toMatchObject({ by: "c0" });
    },
  );
});
