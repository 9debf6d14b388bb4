import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readWitness, Witness, type WitnessMark } from "../../../../src/events/leveldb/witness.ts";
import { temporaryDirectory } from "../samples.ts";

const mark = (seq: number, refusedAbove = false): WitnessMark => ({
  seq,
  hash: seq.toString(16).padStart(64, "0"),
  refusedAbove,
});

async function writeMarks(path: string, marks: readonly WitnessMark[]): Promise<void> {
  const witness = await Witness.open(path, await readWitness(path), "0123456789abcdef");
  for (const one of marks) await witness.write(one);
  await witness.close();
}

describe("the head witness", () => {
  it("tells a missing file from one that nothing was written to", async () => {
    const path = join(temporaryDirectory(), "witness");
    expect(await readWitness(path)).toMatchObject({ status: "absent", mark: null });
    await writeMarks(path, []);
    expect(await readWitness(path)).toMatchObject({ status: "blank", mark: null });
  });

  it("says what was written last, over any number of openings", async () => {
    const path = join(temporaryDirectory(), "witness");
    for (let round = 1; round <= 5; round += 1) {
      await writeMarks(
        path,
        Array.from({ length: round }, (_, index) => mark(round * 10 + index)),
      );
      expect(await readWitness(path)).toMatchObject({
        status: "read",
        mark: mark(round * 10 + round - 1),
        copied: false,
      });
    }
  });

  it("believes the last write, not the highest record", async () => {
    const path = join(temporaryDirectory(), "witness");
    await writeMarks(path, [mark(8), mark(9), mark(8, true)]);
    expect((await readWitness(path)).mark).toEqual(mark(8, true));
  });

  it("knows that it is a copy", async () => {
    const directory = temporaryDirectory();
    await writeMarks(join(directory, "witness"), [mark(1)]);
    copyFileSync(join(directory, "witness"), join(directory, "copy"));
    expect(await readWitness(join(directory, "copy"))).toMatchObject({ mark: mark(1), copied: true });
  });

  it("falls back to the write before when the last is torn or damaged anywhere, and never makes one up", async () => {
    const path = join(temporaryDirectory(), "witness");
    await writeMarks(path, [mark(1), mark(2)]);
    const whole = readFileSync(path);
    const line = whole.indexOf("\n", 4096);
    for (let offset = 4096; offset <= line; offset += 1) {
      const flipped = Buffer.from(whole);
      flipped[offset] = (flipped[offset] as number) ^ (1 << (offset % 8));
      const torn = Buffer.from(whole).fill(0, offset, 8192);
      for (const bytes of [flipped, torn]) {
        writeFileSync(path, bytes);
        expect([offset, (await readWitness(path)).mark]).toEqual([offset, mark(1)]);
      }
    }
    writeFileSync(path, Buffer.from(whole).fill(0));
    expect((await readWitness(path)).status).toBe("blank");
    writeFileSync(path, "");
    expect((await readWitness(path)).status).toBe("blank");
    writeFileSync(path, Buffer.from(whole).fill(1));
    expect((await readWitness(path)).status).toBe("damaged");
  });

  it("writes over the damaged half and leaves the good one", async () => {
    const path = join(temporaryDirectory(), "witness");
    await writeMarks(path, [mark(1), mark(2)]);
    writeFileSync(path, readFileSync(path).fill(0, 4096));
    await writeMarks(path, [mark(3)]);
    expect((await readWitness(path)).mark).toEqual(mark(3));
    writeFileSync(path, readFileSync(path).fill(0, 4096));
    expect((await readWitness(path)).mark).toEqual(mark(1));
  });
});
