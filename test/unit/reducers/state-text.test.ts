import { createHash } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { canonicalJson } from "../../../src/lib/canonical-json.ts";
import { hashedText, stateFromJson, stateHash, stateText, stateToJson } from "../../../src/reducers/state-json.ts";
import { stateFromLines, stateLines } from "../../../src/reducers/state-lines.ts";
import { liftState } from "../../../src/reducers/state-lift.ts";
import { initialState } from "../../../src/reducers/state.ts";
import { Gateway } from "./given.ts";

const PLENTY = { mappings: 1000, ports: 2048, requestsPerSecond: 50, eventsPerMinute: 20, eventBurst: 2000 };
const gateway = new Gateway({ perDevice: { ...PLENTY } });

beforeAll(() => {
  for (let port = 1; port <= 700; port += 1) gateway.map({ internalPort: port });
}, 60_000);

describe("stateText", () => {
  it("is the JSON of the state, in pieces of bounded size", () => {
    for (const state of [initialState(), gateway.state]) {
      const pieces = [...stateText(state)];
      const parsed: unknown = JSON.parse(pieces.join(""));
      expect(parsed).toEqual(JSON.parse(JSON.stringify(stateToJson(state))));
      expect(stateHash(stateFromJson(parsed))).toBe(stateHash(state));
    }
    const longest = Math.max(...[...stateText(gateway.state)].map((piece) => piece.length));
    expect(gateway.state.mappings.size).toBe(700);
    expect(longest).toBeLessThan(JSON.stringify(stateToJson(gateway.state)).length / 4);
  });
});

describe("stateLines", () => {
  async function* one(lines: readonly string[]): AsyncGenerator<string> {
    yield* lines;
  }

  it("is one JSON document whose lines, one after another, give the state again", async () => {
    for (const state of [initialState(), gateway.state]) {
      const text = [...stateLines(state)].join("");
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(stateToJson(state))));
      const lines = text.trimEnd().split("\n");
      const again = await stateFromLines(one(lines));
      expect(stateHash(again)).toBe(stateHash(state));
      expect(again.mappings.size).toBe(state.mappings.size);
    }
    expect([...stateLines(gateway.state)].length).toBeGreaterThan(20);
  });

  it("reads the form without lines that earlier versions wrote, and no text that is cut off", async () => {
    const text = JSON.stringify(stateToJson(gateway.state));
    expect(stateHash(await stateFromLines(one([text])))).toBe(stateHash(gateway.state));
    await expect(stateFromLines(one([]))).rejects.toThrow(SyntaxError);
    await expect(stateFromLines(one([text.slice(0, -2)]))).rejects.toThrow(SyntaxError);
  });
});

describe("hashedText", () => {
  it("is the canonical JSON of the state, in pieces of bounded size, and its hash", () => {
    for (const state of [initialState(), gateway.state]) {
      const text = hashedText(state);
      const pieces: string[] = [];
      let next = text.next();
      for (; next.done !== true; next = text.next()) pieces.push(next.value);
      expect(pieces.join("")).toBe(canonicalJson(stateToJson(state)));
      expect(next.value).toBe(createHash("sha256").update(pieces.join("")).digest("hex"));
      expect(next.value).toBe(stateHash(state));
      expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThan(100_000);
    }
  });
});

describe("liftState", () => {
  it("takes every step from the version it was written with, and refuses one from the future", () => {
    const lifts = [(state: unknown) => [state, 2], (state: unknown) => [state, 3]];
    expect(liftState("s", 1, lifts)).toEqual([["s", 2], 3]);
    expect(liftState("s", 2, lifts)).toEqual(["s", 3]);
    expect(liftState("s", 3, lifts)).toBe("s");
    expect(() => liftState("s", 4, lifts)).toThrow(/newer/);
  });
});
