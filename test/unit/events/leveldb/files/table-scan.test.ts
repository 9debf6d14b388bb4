import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Level } from "level";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { scanTables } from "../../../../../src/events/leveldb/files/table-scan.ts";
import { eventKey } from "../../../../../src/events/leveldb/keys.ts";
import { temporaryDirectory } from "../../samples.ts";

const root = temporaryDirectory(afterAll);

/** A store that LevelDB made, with tables of several blocks: fewer than the four at which it begins to merge them. */
async function makeStore(name: string, compression: boolean): Promise<string> {
  const directory = join(root, name);
  mkdirSync(directory);
  const db = new Level<string, string>(directory, { compression, writeBufferSize: 128 * 1024 });
  await db.open();
  for (let seq = 1; seq <= 400; seq += 1) await db.put(eventKey(seq), `${"once more ".repeat(30)}${Math.sin(seq)}`);
  for (let seq = 401; seq <= 900; seq += 1) await db.put(eventKey(seq), `${seq * 7919}`.repeat(40));
  await db.close();
  // Closing may cut a flush short and leave half a table; opening puts that in order before it returns.
  await db.open();
  await db.close();
  return directory;
}

const tablesIn = (directory: string): string[] => readdirSync(directory).filter((name) => name.endsWith(".ldb"));

let plain: string;
let compressed: string;

beforeAll(async () => {
  plain = await makeStore("plain", false);
  compressed = await makeStore("compressed", true);
});

/** Whether a flip there changes nothing: in the padding after the footer's handles, or one that only lengthens the last. */
function isHarmless(table: Buffer, offset: number, bit: number): boolean {
  let end = table.length - 48;
  for (let numbers = 0; numbers < 4; end += 1) if (((table[end] as number) & 0x80) === 0) numbers += 1;
  return (offset >= end && offset < table.length - 8) || (offset === end - 1 && bit === 7);
}

describe("scanTables", () => {
  it("finds what LevelDB wrote as it should be, compressed or not", async () => {
    for (const directory of [plain, compressed]) {
      expect(tablesIn(directory).length).toBeGreaterThan(1);
      await scanTables(directory, Infinity);
    }
    const bytes = (directory: string) =>
      tablesIn(directory).reduce((sum, name) => sum + readFileSync(join(directory, name)).length, 0);
    expect(bytes(compressed)).toBeLessThan(bytes(plain) / 2);
  });

  it("finds any flipped bit that something reads", {
    timeout: 60_000,
  }, async () => {
    let probes = 0;
    for (const directory of [plain, compressed]) {
      for (const name of tablesIn(directory)) {
        const whole = readFileSync(join(directory, name));
        const step = Math.ceil(whole.length / 40);
        const tail = Array.from({ length: 120 }, (_, index) => whole.length - 1 - index);
        for (const offset of [...Array(40).keys()].map((index) => index * step).concat(tail)) {
          if (offset < 0 || offset >= whole.length || isHarmless(whole, offset, offset % 8)) continue;
          const damaged = Buffer.from(whole);
          damaged[offset] = (damaged[offset] as number) ^ (1 << (offset % 8));
          writeFileSync(join(directory, name), damaged);
          const found = scanTables(directory, Infinity);
          await expect(found, `${name} ${offset}`).rejects.toMatchObject({ code: "LOG_CORRUPT" });
          probes += 1;
        }
        writeFileSync(join(directory, name), whole);
      }
      await scanTables(directory, Infinity);
    }
    expect(probes).toBeGreaterThan(300);
  });

  it("finds a table that was cut short, at any length", async () => {
    const name = tablesIn(compressed)[0] as string;
    const whole = readFileSync(join(compressed, name));
    for (const length of [0, 1, 7, 8, 47, 48, 49, whole.length >> 1, whole.length - 49, whole.length - 1]) {
      writeFileSync(join(compressed, name), whole.subarray(0, length));
      await expect(scanTables(compressed, Infinity)).rejects.toMatchObject({ code: "LOG_CORRUPT" });
    }
    writeFileSync(join(compressed, name), whole);
  });

  it("passes over leftovers that the store does not count as its own", async () => {
    const leftover = join(compressed, "009999.ldb");
    writeFileSync(leftover, "half a table");
    await scanTables(compressed, Infinity);
    rmSync(leftover);
  });

  it("reads the newest tables first, and no more than it is told to", async () => {
    const [oldest] = tablesIn(plain).sort();
    const path = join(plain, oldest as string);
    const whole = readFileSync(path);
    writeFileSync(path, Buffer.from(whole).fill(0, 100, 200));
    await scanTables(plain, 1);
    await expect(scanTables(plain, Infinity)).rejects.toMatchObject({ code: "LOG_CORRUPT" });
    writeFileSync(path, whole);
  });

  it("leaves a store without a MANIFEST to LevelDB, which refuses it", async () => {
    const empty = temporaryDirectory();
    await scanTables(empty, Infinity);
    writeFileSync(join(empty, "CURRENT"), "MANIFEST-000001\n");
    await scanTables(empty, Infinity);
  });
});
