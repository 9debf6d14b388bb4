import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Level } from "level";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { scanWal, walFiles } from "../../../../../src/events/leveldb/files/wal-scan.ts";
import { temporaryDirectory } from "../../samples.ts";

const BLOCK = 32 * 1024;
const key = (index: number) => `e!${index.toString(16).padStart(14, "0")}`;

/** Write-ahead log that LevelDB itself wrote, and where each of its writes ends, by the file's size after it. */
let wal: Buffer;
const ends: number[] = [];
const directory = temporaryDirectory(afterAll);

beforeAll(async () => {
  const db = new Level<string, string>(directory);
  await db.open();
  const [name] = await walFiles(directory);
  const file = join(directory, name as string);
  for (let index = 1; index <= 60; index += 1) {
    // Small ones, some that span several blocks, and lengths that leave every kind of block trailer.
    const length = index % 10 === 0 ? 70_000 + index : 100 + 37 * index;
    await db.batch([{ type: "put", key: key(index), value: "x".repeat(length) }], { sync: true });
    ends.push(readFileSync(file).length);
  }
  wal = readFileSync(file);
  await db.close();
});

async function scan(...files: Uint8Array[]): Promise<"whole" | "torn" | { code: string; seq: number }> {
  const directory = temporaryDirectory();
  for (const [index, bytes] of files.entries()) writeFileSync(join(directory, `00000${index + 3}.log`), bytes);
  return scanWal(directory).then(
    ({ torn }) => (torn ? "torn" : "whole"),
    (error: { code: string; seq: number }) => ({ code: error.code, seq: error.seq }),
  );
}

function damaged(offset: number): Buffer {
  const bytes = Buffer.from(wal);
  bytes[offset] = (bytes[offset] as number) ^ 0x10;
  return bytes;
}

const writeAt = (offset: number): number => ends.findIndex((end) => offset < end) + 1;

describe("scanWal", () => {
  it("finds what LevelDB wrote whole", async () => {
    expect(wal.length).toBeGreaterThan(10 * BLOCK);
    expect(await scan(wal)).toBe("whole");
    expect(await scan()).toBe("whole");
    expect(await scan(Buffer.alloc(0))).toBe("whole");
  });

  it("finds a log that ends between two writes whole, and one that ends within a write torn", async () => {
    for (const end of ends) {
      expect([end, await scan(wal.subarray(0, end))]).toEqual([end, "whole"]);
      expect([end, await scan(wal.subarray(0, end - 1))]).toEqual([end, "torn"]);
      const into = end + 3;
      // A write that did not fit the block's last bytes begins after a trailer of zeros, which alone is no write.
      if (into < wal.length && into % BLOCK > 10) expect(await scan(wal.subarray(0, into))).toBe("torn");
    }
  });

  it("calls damage anywhere before the last write an incident, and names the record it hit", async () => {
    const lastBegins = ends.at(-2) as number;
    for (let offset = 0; offset < lastBegins; offset += 997) {
      const hit = writeAt(offset);
      const found = await scan(damaged(offset));
      // A block's trailer of at most 6 bytes is not part of any write.
      if (found === "whole") expect(offset % BLOCK).toBeGreaterThan(BLOCK - 7);
      else expect([offset, found]).toEqual([offset, { code: "LOG_CORRUPT", seq: expect.any(Number) as number }]);
      if (typeof found === "object") expect(Math.abs(found.seq - hit)).toBeLessThanOrEqual(1);
    }
  });

  it("leaves it to the witness whether damage to the last write matters", async () => {
    const lastBegins = ends.at(-2) as number;
    for (let offset = lastBegins; offset < wal.length; offset += 1009) {
      if (offset % BLOCK > BLOCK - 7) continue;
      expect([offset, await scan(damaged(offset))]).toEqual([offset, "torn"]);
    }
  });

  it("takes the zeros that a power loss leaves behind for a torn tail, unless a write follows them", async () => {
    const whole = wal.subarray(0, ends[4]);
    expect(await scan(Buffer.concat([whole, Buffer.alloc(3 * BLOCK)]))).toBe("torn");
    const holed = Buffer.from(wal).fill(0, ends[4], ends[5]);
    expect(await scan(holed)).toEqual({ code: "LOG_CORRUPT", seq: 6 });
  });

  it("takes a torn file with nothing in the newer ones for a torn tail, and one with a write after it for an incident", async () => {
    const torn = wal.subarray(0, (ends[4] as number) - 1);
    expect(await scan(torn, Buffer.alloc(0))).toBe("torn");
    expect(await scan(torn, wal.subarray(0, ends[0]))).toEqual({ code: "LOG_CORRUPT", seq: 5 });
    expect(await scan(wal, wal.subarray(0, ends[0]))).toBe("whole");
  });

  it("reads the files in the order of their numbers, not of their names", async () => {
    const directory = temporaryDirectory();
    for (const name of ["000100.log", "000009.log", "1000000.log", "000011.ldb", "LOG", "x.log"]) {
      writeFileSync(join(directory, name), "");
    }
    expect(await walFiles(directory)).toEqual(["000009.log", "000100.log", "1000000.log"]);
  });
});
