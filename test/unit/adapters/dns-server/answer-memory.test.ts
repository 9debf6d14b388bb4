import { describe, expect, it } from "vitest";
import { AnswerMemory } from "../../../../src/adapters/dns-server/thread/answers/answer-memory.ts";

const asked = (id: number, letter: number): Uint8Array => Uint8Array.of(id, id, 1, 2, 3, letter);

describe("answers that were given before", () => {
  it("are known by all but the ID, at one listener, until something changes", () => {
    const memory = new AnswerMemory();
    const key = memory.keyOf(asked(1, 97), "udp a") ?? "";
    memory.get(key, 7);
    memory.set(key, 7, Uint8Array.of(9));
    expect(memory.get(memory.keyOf(asked(2, 97), "udp a") ?? "", 7)).toEqual(Uint8Array.of(9));
    expect(memory.get(memory.keyOf(asked(1, 97), "tcp a") ?? "", 7)).toBeUndefined();
    expect(memory.get(memory.keyOf(asked(1, 65), "udp a") ?? "", 7)).toBeUndefined();
    expect(memory.get(key, 8)).toBeUndefined();
    expect(memory.keyOf(new Uint8Array(201), "udp a")).toBeNull();
  });

  it("are no long ones, of which a few thousand spellings of one question would fill the memory", () => {
    const memory = new AnswerMemory();
    const [fits, long] = [memory.keyOf(asked(1, 97), "tcp a") ?? "", memory.keyOf(asked(1, 65), "tcp a") ?? ""];
    memory.get(fits, 1);
    memory.set(fits, 1, new Uint8Array(1232));
    memory.set(long, 1, new Uint8Array(1233));
    expect([memory.get(fits, 1)?.length, memory.get(long, 1)]).toEqual([1232, undefined]);
  });
});
