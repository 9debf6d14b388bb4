import { describe, expect, it } from "vitest";
import { AnswerIndex } from "../../../../src/events/leveldb/answers.ts";
import { answerKey } from "../../../../src/events/leveldb/keys.ts";
import { MapStorage } from "./map-storage.ts";

async function remember(index: AnswerIndex, storage: MapStorage, seq: number, ...requestIds: string[]): Promise<void> {
  const answers = requestIds.map((requestId) => ({ requestId, answer: `${requestId} at ${seq}` }));
  await storage.write(index.opsFor(answers, seq));
  index.remember(answers, seq);
}

const stored = (storage: MapStorage): string[] => [...storage.values.keys()].map((key) => key.slice(2)).sort();

describe("AnswerIndex", () => {
  it("forgets the oldest first, and no more than it must", async () => {
    const storage = new MapStorage();
    const index = await AnswerIndex.load(storage, 3);
    await remember(index, storage, 1, "a", "b");
    await remember(index, storage, 2, "c");
    expect(stored(storage)).toEqual(["a", "b", "c"]);
    await remember(index, storage, 3, "d");
    expect(stored(storage)).toEqual(["b", "c", "d"]);
    await remember(index, storage, 4, "e", "f");
    expect(stored(storage)).toEqual(["d", "e", "f"]);
  });

  it("forgets nobody for an answer that is remembered anew, and counts it as new", async () => {
    const storage = new MapStorage();
    const index = await AnswerIndex.load(storage, 3);
    await remember(index, storage, 1, "a", "b", "c");
    await remember(index, storage, 2, "a");
    expect(stored(storage)).toEqual(["a", "b", "c"]);
    expect(await index.read(storage, "a")).toBe("a at 2");
    await remember(index, storage, 3, "d");
    expect(stored(storage)).toEqual(["a", "c", "d"]);
  });

  it("knows after a restart what it knew before, in the order of the log", async () => {
    const storage = new MapStorage();
    const first = await AnswerIndex.load(storage, 3);
    await remember(first, storage, 1, "z");
    await remember(first, storage, 2, "y");
    await remember(first, storage, 3, "x");
    const second = await AnswerIndex.load(storage, 3);
    await remember(second, storage, 4, "w");
    expect(stored(storage)).toEqual(["w", "x", "y"]);
  });

  it("drops what was remembered after a record, and what is named", async () => {
    const storage = new MapStorage();
    const index = await AnswerIndex.load(storage, 9);
    await remember(index, storage, 1, "a");
    await remember(index, storage, 2, "b");
    await remember(index, storage, 3, "c");
    await storage.write(index.opsToDropAfter(2, ["a", "never"]));
    expect(stored(storage)).toEqual(["b"]);
  });

  it("does not take a damaged answer for one, nor another request's", async () => {
    const storage = new MapStorage();
    const index = await AnswerIndex.load(storage, 9);
    await remember(index, storage, 1, "a", "b");
    const value = storage.values.get(answerKey("a")) as string;
    for (const other of [value.replace("a at", "A at"), storage.values.get(answerKey("b")) as string, "", "00000000"]) {
      storage.values.set(answerKey("a"), other);
      await expect(index.read(storage, "a")).rejects.toMatchObject({ code: "LOG_CORRUPT" });
      await expect(AnswerIndex.load(storage)).rejects.toMatchObject({ code: "LOG_CORRUPT" });
    }
  });
});
