import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { canonicalJson } from "../../../src/lib/canonical-json.ts";
import { hashedText, stateFromJson, stateHash, stateText, stateToJson } from "../../../src/reducers/state-json.ts";
import { liftState } from "../../../src/reducers/state-lift.ts";
import { initialState } from "../../../src/reducers/state.ts";
import { Gateway } from "./given.ts";

describe("stateText", () => {
  it("is the JSON of the state, in pieces of bounded size", () => {
    const gateway = new Gateway({ perDevice: { ...PLENTY } });
    for (let port = 1; port <= 700; port += 1) gateway.map({ internalPort: port });
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

describe("hashedText", () => {
  it("is the canonical JSON of the state, in pieces of bounded size, and its hash", () => {
    const gateway = new Gateway({ perDevice: { ...PLENTY } });
    for (let port = 1; port <= 700; port += 1) gateway.map({ internalPort: port });
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

const PLENTY = { mappings: 1000, ports: 2048, requestsPerSecond: 50, eventsPerMinute: 20, eventBurst: 2000 };

describe("liftState", () => {
  it("takes every step from the version it was written with, and refuses one from the future", () => {
    const lifts = [(state: unknown) => [state, 2], (state: unknown) => [state, 3]];
    expect(liftState("s", 1, lifts)).toEqual([["s", 2], 3]);
    expect(liftState("s", 2, lifts)).toEqual(["s", 3]);
    expect(liftState("s", 3, lifts)).toBe("s");
    expect(() => liftState("s", 4, lifts)).toThrow(/newer/);
  });
});
