import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PortreeveRecord } from "../../../../src/events/index.ts";
import { openLevelLog } from "../../../../src/events/leveldb/level-log.ts";
import { verifyLog } from "../../../../src/events/leveldb/verify.ts";
import { random } from "../../../random.mjs";
import { append, collect } from "../samples.ts";

/** In memory where there is such a place: thousands of small files, opened and fsynced. */
const scratch = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "portreeve-test-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const SEED = Number(process.env["PORTREEVE_SEED"] ?? 20_240_501);

interface Image {
  readonly directory: string;
  readonly acked: readonly PortreeveRecord[];
  /** On the disk, but never acknowledged: the process died in between. */
  readonly unacked: readonly PortreeveRecord[];
}

/** Data directories as they are found after a stop of each kind. */
const images: Record<string, Image> = {};

async function makeImage(name: string, stop: "kill" | "clean" | "kill before the witness"): Promise<void> {
  const directory = join(scratch, name);
  const records: PortreeveRecord[] = [];
  // Two runs: the first one's records end in a table, the second one's are still in the write-ahead log.
  const first = await openLevelLog(directory);
  while (first.head.seq < 150) records.push(...(await append(first, first.head.seq, 1 + (first.head.seq % 4))));
  await first.close();
  const second = await openLevelLog(directory);
  while (second.head.seq < 300) records.push(...(await append(second, second.head.seq, 1 + (second.head.seq % 4))));
  const witness = readFileSync(join(directory, "witness"));
  const unacked = stop === "kill before the witness" ? await append(second, second.head.seq, 3) : [];
  const image = `${directory}-image`;
  cpSync(directory, image, { recursive: true });
  if (stop === "kill before the witness") writeFileSync(join(image, "witness"), witness);
  await second.close();
  images[name] = { directory: stop === "clean" ? directory : image, acked: records, unacked };
}

beforeAll(async () => {
  await makeImage("clean", "clean");
  await makeImage("killed", "kill");
  await makeImage("unacknowledged", "kill before the witness");
});

type Outcome = "intact" | "surplus lost" | "refused";

/** Opens a damaged copy as a start does, and as `events verify` does; anything acknowledged that is missing throws. */
async function probe(image: Image, harm: (directory: string) => void): Promise<Outcome> {
  const directory = mkdtempSync(join(scratch, "probe-"));
  try {
    cpSync(image.directory, directory, { recursive: true });
    harm(directory);
    return await openAndRead(directory, image);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function openAndRead(directory: string, { acked, unacked }: Image): Promise<Outcome> {
  let log: Awaited<ReturnType<typeof openLevelLog>> | null = null;
  try {
    log = await openLevelLog(directory);
    const records = await collect(log);
    const all = [...acked, ...unacked];
    expect(records).toEqual(records.length === acked.length ? acked : all);
    expect(log.head).toEqual({ seq: records.length, hash: all[records.length - 1]?.hash });
    return records.length === all.length ? "intact" : "surplus lost";
  } catch (error) {
    if ((error as { code?: string }).code !== "LOG_CORRUPT") throw error;
    expect(error).toMatchObject({ disposition: "fatal", seq: expect.any(Number) as number });
    return "refused";
  } finally {
    await log?.close();
  }
}

const stored = (directory: string): string[] =>
  [...readdirSync(join(directory, "log")).map((name) => `log/${name}`), "witness"].filter(
    (name) => !/LOG|LOCK/.test(name) && readFileSync(join(directory, name)).length > 0,
  );

/** Damages one stored file of an image at random, many times over, and counts what came of it. */
async function probeAll(image: Image, times: number, harm: (file: string, pick: (below: number) => number) => void) {
  const counts: Record<string, Record<Outcome, number>> = {};
  const pick = random(SEED);
  const files = stored(image.directory);
  for (let round = 0; round < times; round += 1) {
    const name = files[round % files.length] as string;
    const outcome = await probe(image, (directory) => harm(join(directory, name), pick)).catch((cause: unknown) => {
      throw new Error(`round ${round} with seed ${SEED}: ${name}`, { cause });
    });
    const kind = name.replace(/^log\/|\d+\.|-\d+/g, "");
    counts[kind] ??= { intact: 0, "surplus lost": 0, refused: 0 };
    counts[kind][outcome] += 1;
  }
  return counts;
}

function flipBit(file: string, pick: (below: number) => number): void {
  const bytes = readFileSync(file);
  const offset = pick(bytes.length);
  bytes[offset] = (bytes[offset] as number) ^ (1 << pick(8));
  writeFileSync(file, bytes);
}

const cutShort = (file: string, pick: (below: number) => number): void =>
  truncateSync(file, pick(readFileSync(file).length));

describe("openLevelLog on damaged files", () => {
  it("finds everything in the undamaged images", async () => {
    for (const image of Object.values(images)) expect(await probe(image, () => {})).toBe("intact");
  });

  for (const [name, harm] of [
    ["one flipped bit", flipBit],
    ["a file cut short", cutShort],
  ] as const) {
    for (const [kind, times] of [
      ["clean", 120],
      ["killed", 120],
    ] as const) {
      it(`never loses an acknowledged record in silence to ${name} after a ${kind} stop`, {
        timeout: 120_000,
      }, async () => {
        const counts = await probeAll(images[kind] as Image, times, harm);
        // The write-ahead log has no byte that may be lost: each is part of an acknowledged record.
        expect(counts["log"]).toEqual({ intact: 0, "surplus lost": 0, refused: expect.any(Number) as number });
        expect(counts["log"]?.refused).toBeGreaterThan(15);
        expect(counts["ldb"]?.refused).toBeGreaterThan(5);
        // One slot of the witness is enough.
        expect(counts["witness"]?.refused ?? 0).toBeLessThan(times / 5);
      });
    }

    it(`may lose what was not acknowledged, and nothing else, to ${name}`, { timeout: 120_000 }, async () => {
      const image = images["unacknowledged"] as Image;
      const wal = stored(image.directory).find((file) => file.endsWith(".log")) as string;
      const pick = random(SEED);
      const outcomes = { intact: 0, "surplus lost": 0, refused: 0 };
      const size = readFileSync(join(image.directory, wal)).length;
      for (let round = 0; round < 60; round += 1) {
        // Near the end, so that both the last acknowledged records and the surplus are hit.
        const near = (below: number): number => (below === size ? size - 1 - pick(2500) : pick(below));
        outcomes[await probe(image, (directory) => harm(join(directory, wal), near))] += 1;
      }
      expect(outcomes["surplus lost"]).toBeGreaterThan(0);
      expect(outcomes.refused).toBeGreaterThan(0);
      expect(outcomes.intact).toBe(0);
    });
  }

  it("names the records whose acknowledged tail is gone, with the directory untouched by the refusal", async () => {
    const image = images["killed"] as Image;
    const directory = mkdtempSync(join(scratch, "probe-"));
    cpSync(image.directory, directory, { recursive: true });
    const wal = join(directory, stored(directory).find((file) => file.endsWith(".log")) as string);
    truncateSync(wal, readFileSync(wal).length - 1);
    const lost = { code: "LOG_CORRUPT", message: expect.stringMatching(/ends at record \d+, but records? .*30\d w/) };
    await expect(openLevelLog(directory)).rejects.toMatchObject(lost);
    // LevelDB has swept up behind itself by now; the refusal stands all the same, and the evidence is kept.
    for (let restart = 0; restart < 5; restart += 1) await expect(openLevelLog(directory)).rejects.toMatchObject(lost);
    expect(readdirSync(join(directory, "evidence"))).toEqual(["1"]);
    expect(readFileSync(join(directory, "suspect"), "utf8")).toMatch(/ends at record/);
  });

  it.each([
    ["log/CURRENT", /CURRENT/],
    ["witness", /head witness is missing/],
    ["log", /the event log is gone/],
  ])("refuses to begin anew when %s is gone", async (name, message) => {
    const image = images["clean"] as Image;
    const outcome = probe(image, (directory) => rmSync(join(directory, name), { recursive: true }));
    expect(await outcome).toBe("refused");
    const directory = mkdtempSync(join(scratch, "probe-"));
    cpSync(image.directory, directory, { recursive: true });
    rmSync(join(directory, name), { recursive: true });
    await expect(openLevelLog(directory)).rejects.toThrow(message);
  });

  it("refuses an old copy of the log under a newer witness", async () => {
    const old = images["killed"] as Image;
    const directory = mkdtempSync(join(scratch, "probe-"));
    cpSync(old.directory, directory, { recursive: true });
    const log = await openLevelLog(directory);
    await append(log, 0, 2);
    await log.close();
    rmSync(join(directory, "log"), { recursive: true });
    cpSync(join(old.directory, "log"), join(directory, "log"), { recursive: true });
    await expect(openLevelLog(directory)).rejects.toMatchObject({ code: "LOG_CORRUPT", seq: old.acked.length + 1 });
  });

  it("is as strict as `verifyLog` is", async () => {
    const image = images["clean"] as Image;
    const pick = random(SEED + 1);
    const files = stored(image.directory);
    for (let round = 0; round < 40; round += 1) {
      const directory = mkdtempSync(join(scratch, "probe-"));
      cpSync(image.directory, directory, { recursive: true });
      (round % 2 === 0 ? flipBit : cutShort)(join(directory, files[round % files.length] as string), pick);
      const verdict = await verifyLog(directory);
      const outcome = await openAndRead(directory, image);
      expect([round, verdict.ok]).toEqual([round, outcome !== "refused"]);
      if (verdict.ok) expect(verdict.records).toBe(image.acked.length);
      rmSync(directory, { recursive: true });
    }
  });
});
