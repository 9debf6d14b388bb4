import { appendFileSync, cpSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Level } from "level";
import { afterAll, describe, expect, it } from "vitest";
import { RawEntries } from "../../../../../src/events/leveldb/files/raw-entries.ts";
import { random as seeded } from "../../../../random.mjs";
import { temporaryDirectory } from "../../samples.ts";

const root = temporaryDirectory(afterAll);
const KEYS = 400;
const key = (number: number): string => `e!${number.toString(16).padStart(14, "0")}`;
const ALL = ["", "~"] as const;

type Content = Map<string, string>;

/** A store whose keys were written again and deleted at random, in tables of all levels and a write-ahead log. */
async function makeStore(name: string, seed: number): Promise<{ directory: string; content: Content }> {
  const below = seeded(seed);
  const directory = join(root, name);
  mkdirSync(directory);
  const content: Content = new Map();
  const db = new Level<string, string>(directory, { writeBufferSize: 64 * 1024 });
  await db.open();
  for (let write = 0; write < 3000; write += 1) {
    const chosen = key(below(KEYS));
    if (below(5) === 0) {
      await db.del(chosen);
      content.delete(chosen);
    } else {
      const value = `${write} ${"of many ".repeat(below(40))}`;
      await db.put(chosen, value);
      content.set(chosen, value);
    }
  }
  await db.close();
  return { directory, content };
}

const sorted = (content: Content): [string, string][] => [...content].sort(([a], [b]) => (a < b ? -1 : 1));
const tablesIn = (directory: string): string[] => readdirSync(directory).filter((name) => name.endsWith(".ldb"));

describe("RawEntries", () => {
  it.each([1, 2, 3])("gives what LevelDB would, each key once and in order (seed %i)", async (seed) => {
    const { directory, content } = await makeStore(`store-${seed}`, seed);
    expect(tablesIn(directory).length).toBeGreaterThan(1);
    const entries = await RawEntries.in([directory]);
    expect([...entries.between(...ALL)]).toEqual(sorted(content));
    const [from, to] = [key(100), key(250)];
    const inside = sorted(content).filter(([each]) => each >= from && each <= to);
    expect([...entries.between(from, to)]).toEqual(inside);
    for (let number = 0; number < KEYS; number += 7) expect(entries.get(key(number))).toBe(content.get(key(number)));
  });

  it("takes the later write of two directories, whichever is named first", async () => {
    const { directory } = await makeStore("older", 4);
    const newer = join(root, "newer");
    cpSync(directory, newer, { recursive: true });
    const db = new Level<string, string>(newer);
    await db.put(key(7), "seven");
    await db.del(key(8));
    await db.close();
    for (const directories of [
      [directory, newer],
      [newer, directory],
      [join(root, "missing"), newer],
    ]) {
      const entries = await RawEntries.in(directories);
      expect([entries.get(key(7)), entries.get(key(8))]).toEqual(["seven", undefined]);
    }
  });

  it("holds no table before the walk has come to it, and gives it up when the walk has left it", async () => {
    const directory = join(root, "ascending");
    mkdirSync(directory);
    const db = new Level<string, string>(directory, { writeBufferSize: 64 * 1024, compression: false });
    await db.open();
    for (let number = 0; number < 2000; number += 1) await db.put(key(number), "x".repeat(300));
    await db.close();
    const entries = await RawEntries.in([directory]);
    const tables = tablesIn(directory);
    expect(tables.length).toBeGreaterThan(3);
    let given = 0;
    for (const _entry of entries.between(...ALL)) {
      given += 1;
      // What has been read already is not missed, what has not is.
      if (given === 1) for (const name of tables) writeFileSync(join(directory, name), "");
    }
    expect(given).toBeGreaterThan(1);
    expect(given).toBeLessThan(1000);
  });

  it("passes over what is damaged, and takes what no LevelDB wrote for damage", async () => {
    const { directory, content } = await makeStore("damaged", 5);
    for (const [index, name] of tablesIn(directory).entries()) {
      const path = join(directory, name);
      const bytes = readFileSync(path);
      if (index % 3 === 0) truncateSync(path, Math.floor(bytes.length / 2));
      else if (index % 3 === 1) {
        bytes[10] = (bytes[10] as number) ^ 1;
        writeFileSync(path, bytes);
      } else appendFileSync(path, "more");
    }
    writeFileSync(join(directory, "999999.ldb"), "");
    writeFileSync(join(directory, "999998.ldb"), Buffer.alloc(100));
    writeFileSync(join(directory, "999997.log"), "nothing");
    const found = [...(await RawEntries.in([directory])).between(...ALL)];
    expect(found).not.toEqual(sorted(content));
    expect(found.map(([each]) => each)).toEqual([...new Set(found.map(([each]) => each))].sort());
  });
});
