import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Snapshot, SnapshotStore } from "../../../src/events/snapshot.ts";
import { keepNewest, openSnapshots, type SnapshotFault } from "../../../src/events/snapshot-store.ts";
import { temporaryDirectory } from "./samples.ts";

const snapshot = (
  seq: number,
  state: unknown = { seq, label: 'Küche "8080" ☃', ',"state":': [',"state":'] },
): Snapshot => ({
  seq,
  chainHash: seq.toString(16).padStart(64, "0"),
  at: 1_714_521_600_000 + seq,
  reducerVersion: 1,
  state,
});

const save = (store: SnapshotStore, { state, ...header }: Snapshot): Promise<void> => {
  const text = JSON.stringify(state);
  // In pieces, as a large state comes.
  return store.write(header, [text.slice(0, 5), "", text.slice(5)]);
};

const withoutState = ({ seq, chainHash, at, reducerVersion }: Snapshot) => ({ seq, chainHash, at, reducerVersion });

describe("openSnapshots", () => {
  it("gives back what was written, newest first, also to another process", async () => {
    const dataDir = temporaryDirectory();
    for (const seq of [9, 300, 10]) await save(openSnapshots(dataDir), snapshot(seq));
    const store = openSnapshots(dataDir);
    expect(await store.list()).toEqual([300, 10, 9].map((seq) => withoutState(snapshot(seq))));
    for (const seq of [9, 10, 300]) expect(await store.read(seq)).toEqual(snapshot(seq));
    expect(await store.read(11)).toBeUndefined();
  });

  it("gives the text of a state back line by line, however its pieces lay", async () => {
    const dataDir = temporaryDirectory();
    const store = openSnapshots(dataDir);
    const rows = Array.from({ length: 20_000 }, (_, row) => `"row ${row} ☃":${row}`);
    const lines = ["{", ...rows.map((row, index) => (index === 0 ? row : `,${row}`)), "}"];
    const { state: _state, ...header } = snapshot(8);
    await store.write(header, [lines.join("\n"), "\n"]);
    const text = await store.open(8);
    expect(text).toMatchObject(header);
    const read: string[] = [];
    for await (const line of text?.lines ?? []) read.push(line);
    expect(read.filter((line) => line !== "")).toEqual(lines);
    expect((await store.read(8))?.state).toMatchObject({ "row 19999 ☃": 19_999 });
    const path = join(dataDir, "snapshots/00000000000008.json");
    writeFileSync(path, readFileSync(path, "utf8").replace('"row 7 ', '"row 8 '));
    expect(await store.open(8), "damaged").toBeUndefined();
    expect(await store.open(9)).toBeUndefined();
  });

  it("writes one JSON document that only its owner may read, named by the seq", async () => {
    const dataDir = temporaryDirectory();
    await save(openSnapshots(dataDir), snapshot(300));
    expect(readdirSync(join(dataDir, "snapshots"))).toEqual(["0000000000012c.json"]);
    const path = join(dataDir, "snapshots/0000000000012c.json");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(path, "utf8"))).toEqual({
      checksum: expect.any(String) as string,
      ...snapshot(300),
    });
  });

  it("makes no directory before there is something to write", async () => {
    const dataDir = temporaryDirectory();
    const store = openSnapshots(dataDir);
    expect(await store.list()).toEqual([]);
    expect(await store.read(1)).toBeUndefined();
    await store.remove(1).catch(() => {});
    expect(existsSync(join(dataDir, "snapshots"))).toBe(false);
  });

  it("replaces a snapshot of the same record", async () => {
    const store = openSnapshots(temporaryDirectory());
    await save(store, snapshot(5, { old: true }));
    await save(store, snapshot(5, { old: false }));
    expect((await store.read(5))?.state).toEqual({ old: false });
  });

  it("passes over a file with any flipped bit or cut anywhere, and reports it", async () => {
    const dataDir = temporaryDirectory();
    const faults: SnapshotFault[] = [];
    const store = openSnapshots(dataDir, (fault) => faults.push(fault));
    await save(store, snapshot(7));
    await save(store, snapshot(8, { small: 1 }));
    const path = join(dataDir, "snapshots/00000000000008.json");
    const whole = readFileSync(path);
    for (let offset = 0; offset < whole.length; offset += 1) {
      const flipped = Buffer.from(whole);
      flipped[offset] = (flipped[offset] as number) ^ (1 << (offset % 8));
      for (const bytes of [flipped, whole.subarray(0, offset)]) {
        writeFileSync(path, bytes);
        faults.length = 0;
        expect(await store.read(8)).toBeUndefined();
        expect(faults).toEqual([{ file: path, message: expect.stringContaining("not used") as string }]);
      }
    }
    expect((await store.list()).map(({ seq }) => seq)).toEqual([7]);
    writeFileSync(path, whole);
    expect((await store.list()).map(({ seq }) => seq)).toEqual([8, 7]);
  });

  it("does not take a snapshot under another one's name", async () => {
    const dataDir = temporaryDirectory();
    const store = openSnapshots(dataDir);
    await save(store, snapshot(7));
    writeFileSync(
      join(dataDir, "snapshots/00000000000009.json"),
      readFileSync(join(dataDir, "snapshots/00000000000007.json")),
    );
    expect(await store.read(9)).toBeUndefined();
  });

  it("keeps the newest ones", async () => {
    const store = openSnapshots(temporaryDirectory());
    for (const seq of [1, 2, 3, 4]) await save(store, snapshot(seq));
    await keepNewest(store, 2, 0);
    expect((await store.list()).map(({ seq }) => seq)).toEqual([4, 3]);
    await keepNewest(store, 2, 0);
    expect((await store.list()).map(({ seq }) => seq)).toEqual([4, 3]);
  });

  it("[E7] keeps the one that a compacted log begins after, however old it is", async () => {
    const store = openSnapshots(temporaryDirectory());
    for (const seq of [1, 2, 3, 4]) await save(store, snapshot(seq));
    await keepNewest(store, 2, 2);
    expect((await store.list()).map(({ seq }) => seq)).toEqual([4, 3, 2]);
  });
});
