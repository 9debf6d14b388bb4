import { execFileSync, spawn } from "node:child_process";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openLevelLog } from "../../../../src/events/leveldb/level-log.ts";
import { verifyLog } from "../../../../src/events/leveldb/verify.ts";
import { collect, temporaryDirectory } from "../samples.ts";

const ROUNDS = 6;
const repository = fileURLToPath(new URL("../../../../", import.meta.url));
const child = fileURLToPath(new URL("append-forever.mjs", import.meta.url));
const built = temporaryDirectory(afterAll);

beforeAll(() => {
  // Node 20 runs no TypeScript, and a killed process must be one that is nothing else.
  const tsc = join(repository, "node_modules/.bin/tsc");
  const config = {
    extends: join(repository, "tsconfig.build.json"),
    files: [join(repository, "src/events/leveldb/level-log.ts")],
  };
  const compilerOptions = {
    outDir: built,
    rootDir: join(repository, "src"),
    typeRoots: [join(repository, "node_modules/@types")],
  };
  writeFileSync(join(built, "tsconfig.json"), JSON.stringify({ ...config, include: [], compilerOptions }));
  writeFileSync(join(built, "package.json"), '{"type":"module"}');
  symlinkSync(join(repository, "node_modules"), join(built, "node_modules"));
  execFileSync(tsc, ["-p", join(built, "tsconfig.json")], { stdio: "pipe" });
}, 60_000);

/** Lets a process append to the log and kills it after `acks` acknowledgements; all that it got out by then. */
async function appendUntilKilled(dataDir: string, acks: number): Promise<string[]> {
  const process_ = spawn(process.execPath, [child, built, dataDir], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  process_.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
    if (output.split("\n").length > acks) process_.kill("SIGKILL");
  });
  const signal = await new Promise((resolve) => process_.on("close", (_, by) => resolve(by)));
  expect(signal).toBe("SIGKILL");
  return output.split("\n").filter((line) => /^\d+ [0-9a-f]{64}$/.test(line));
}

describe("openLevelLog after kill -9", () => {
  it("has every record that was acknowledged, and at most the one batch that was under way besides", {
    timeout: 120_000,
  }, async () => {
    const dataDir = temporaryDirectory();
    const acked: string[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      acked.push(...(await appendUntilKilled(dataDir, 20 + round * 37)));
      expect(await verifyLog(dataDir)).toMatchObject({ ok: true });
      const log = await openLevelLog(dataDir, { verify: round % 2 === 0 });
      const found = (await collect(log)).map(({ seq, hash }) => `${seq} ${hash}`);
      expect(found.slice(0, acked.length)).toEqual(acked);
      expect(found.length - acked.length).toBeLessThanOrEqual(5);
      acked.splice(0, Infinity, ...found);
      await log.close();
    }
    expect(acked.length).toBeGreaterThan(ROUNDS * 20);
  });

  it("leaves a lock that a running process holds to it, and says which process that is", {
    timeout: 60_000,
  }, async () => {
    const dataDir = temporaryDirectory();
    const holder = spawn(process.execPath, [child, built, dataDir], { stdio: ["ignore", "pipe", "inherit"] });
    await new Promise((resolve) => holder.stdout.once("data", resolve));
    const refused = { code: "LOG_LOCKED", message: expect.stringContaining(`process ${holder.pid} `) as string };
    await expect(openLevelLog(dataDir)).rejects.toMatchObject(refused);
    const gone = new Promise((resolve) => holder.on("close", resolve));
    holder.kill("SIGKILL");
    await gone;
    await (await openLevelLog(dataDir)).close();
  });
});
