import { describe, expect, it } from "vitest";
import { Coverage } from "../../fuzz/coverage.mjs";
import { Fuzzer, minimise, type Target } from "../../fuzz/fuzzer.mjs";
import { decoded } from "../../fuzz/targets/loading.mjs";

const coverage = new Coverage((url) => url.includes("/fuzz/planted/"));
// Loaded only now, so that its blocks are counted.
const { decodeFrame, FrameError } = await import("../../fuzz/planted/frames.mjs");
const SEED = 20_261_124;

type Bug = Parameters<typeof decodeFrame>[1];

const frames = (bug: Bug): Target => ({
  name: `frames with ${bug}`,
  dictionary: [],
  bytesMax: 64,
  check: (bytes) => decoded(FrameError, () => decodeFrame(bytes, bug)) !== undefined,
});

/** From nothing: no input of the format is given. */
function hunt(bug: Bug, executionsMax: number, seed = SEED): Fuzzer["progress"] {
  const fuzzer = new Fuzzer({ target: frames(bug), coverage, seed, corpus: [] });
  while (fuzzer.progress.findings.length === 0 && fuzzer.progress.executions < executionsMax) fuzzer.step();
  console.log(`seed ${seed}, ${bug}: ${fuzzer.progress.executions} executions, ${fuzzer.progress.blocks} blocks`);
  return fuzzer.progress;
}

describe("the fuzzer", () => {
  it.each([
    ["off-by-one", /^RangeError/, 10_000],
    ["hungry", /^BoundError/, 20_000],
    ["quadratic", /^BoundError/, 20_000],
  ] as const)("finds a planted %s bug from nothing, within a known number of executions", (bug, what, executions) => {
    const [finding] = hunt(bug, executions).findings;
    expect(finding?.what).toMatch(what);
    expect(() => decoded(FrameError, () => decodeFrame(finding?.input as Buffer, "none"))).not.toThrow();
  });

  it("ends a loop that does not, and says which input it was", () => {
    const fuzzer = new Fuzzer({
      target: frames("endless"),
      coverage,
      seed: SEED,
      hungMs: 200,
      corpus: [Buffer.from([3, 7, 2, 0xff, 0, 0, 0])],
    });
    expect(fuzzer.progress.findings.map(({ what }) => what)).toEqual(["HungError"]);
  });

  it("finds nothing where nothing is planted, and gets to the end of the code by what it covered", () => {
    const { findings, pool } = hunt("none", 5_000);
    expect(findings).toEqual([]);
    expect(pool.some((input) => frames("none").check(input))).toBe(true);
  });

  it("does the same again for the same seed", () => {
    const [first, second] = [hunt("off-by-one", 10_000), hunt("off-by-one", 10_000)];
    expect(second.executions).toBe(first.executions);
    expect(second.findings[0]?.input).toEqual(first.findings[0]?.input);
  });

  it("makes a corpus small without losing what it reaches", () => {
    const { pool } = hunt("none", 5_000);
    const inputs = [...pool, ...pool.map((input) => Buffer.concat([input, Buffer.alloc(8)]))];
    const least = minimise({ target: frames("none"), coverage, inputs });
    expect(least.length).toBeLessThan(inputs.length);
    const known = new Map();
    const reach = (corpus: readonly Buffer[]): number =>
      new Fuzzer({ target: frames("none"), coverage, seed: SEED, corpus, known }).progress.blocks;
    reach(inputs);
    expect(reach(least)).toBe(reach(inputs));
  });
});
