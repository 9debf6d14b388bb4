import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { corpusFolders, readCorpus } from "../../fuzz/corpus.mjs";
import { Coverage } from "../../fuzz/coverage.mjs";
import { Fuzzer } from "../../fuzz/fuzzer.mjs";
import { allTargets } from "../../fuzz/targets.mjs";

const coverage = new Coverage((url) => url.includes("/src/"));
let loaded: Promise<unknown> = Promise.resolve();
/** One after the other: of what two imports at once have in common, vitest may make two, and an error is of one of them. */
const targets = await allTargets((path) => {
  const url = new URL(`../../../src/${path}.ts`, import.meta.url);
  loaded = loaded.then(() => import(/* @vite-ignore */ fileURLToPath(url)));
  return loaded;
});
/** Fixed, so that a run that fails fails again; `npm run fuzz` takes another each time. */
const SEED = 6887;
const STEPS = 3;

describe("fuzzing", () => {
  it("has a corpus for each target and no other, small enough to be read in a review", () => {
    expect(corpusFolders()).toEqual(targets.map(({ name }) => name).sort());
    const octets = targets.flatMap(({ name }) => readCorpus(name)).reduce((sum, { input }) => sum + input.length, 0);
    expect(octets).toBeLessThan(300_000);
  });

  it.each(targets.map((target) => [target.name, target] as const))(
    "[I12] %s stands the stored corpus and a short run",
    {
      timeout: 60_000,
    },
    (name, target) => {
      const corpus = readCorpus(name).map(({ input }) => input);
      const fuzzer = new Fuzzer({ target, coverage, seed: SEED, corpus });
      const reached = fuzzer.progress.blocks;
      for (let step = 0; step < STEPS; step += 1) fuzzer.step();
      const { findings, executions } = fuzzer.progress;
      const said = findings.map(({ what, input, cause }) => ({ what, hex: input.toString("hex"), cause }));
      expect(said, `seed ${SEED}`).toEqual([]);
      expect(executions).toBeGreaterThanOrEqual(corpus.length + 64 * STEPS);
      // It looked at code, and both ends of it: what is understood and what is refused.
      expect(reached).toBeGreaterThan(10);
      const understood = [Buffer.alloc(0), ...corpus].map((input) => target.check(Buffer.from(input)));
      expect(new Set(understood)).toEqual(new Set([true, false]));
    },
  );
});
