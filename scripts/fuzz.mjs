// `npm run fuzz -- [--target NAME] [--seconds N] [--seed N] [--keep]`: long runs of test/fuzz, over what is built now.
// A finding is kept as a regression in test/fuzz/corpus; --keep also keeps what reached new code, as few as do.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { keepRegression, readCorpus, replaceCorpus } from "../test/fuzz/corpus.mjs";
import { Coverage } from "../test/fuzz/coverage.mjs";
import { Fuzzer, minimise } from "../test/fuzz/fuzzer.mjs";
import { allTargets } from "../test/fuzz/targets.mjs";
import { build } from "./build.mjs";
import { ROOT, say } from "./steps.mjs";

const PROGRESS_MS = 10_000;
const DIST = pathToFileURL(join(ROOT, "dist/")).href;

const { values } = parseArgs({
  options: {
    target: { type: "string", multiple: true },
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: String(Date.now() % 2 ** 32) },
    keep: { type: "boolean", default: false },
  },
});
const seconds = Number(values.seconds);
const seed = Number(values.seed);
if (!(seconds > 0) || !Number.isSafeInteger(seed)) fail("--seconds wants a positive number, --seed a whole one");
if (!(await build())) fail("the build failed");

// Before any of our code is loaded, so that all of it is counted.
const coverage = new Coverage((url) => url.startsWith(DIST));
const known = await allTargets((path) => import(`${DIST}${path}.js`));
const unknown = (values.target ?? []).filter((name) => known.every((target) => target.name !== name));
if (unknown.length > 0) fail(`no target ${unknown.join(", ")}; there are ${known.map(({ name }) => name).join(", ")}`);
const chosen = known.filter(({ name }) => values.target === undefined || values.target.includes(name));

say(`seed ${seed}, ${seconds} s for each of ${chosen.length} targets`);
const rows = [];
for (const target of chosen) rows.push(run(target));
say(
  `\n${"target".padEnd(22)} ${"executions".padStart(12)} ${"a second".padStart(9)} ${"blocks".padStart(7)} ${"corpus".padStart(7)} ${"slowest, ms".padStart(11)} findings`,
);
for (const { name, executions, perSecond, blocks, corpus, slowestMs, findings } of rows) {
  say(
    `${name.padEnd(22)} ${String(executions).padStart(12)} ${String(perSecond).padStart(9)} ${String(blocks).padStart(7)} ${String(corpus).padStart(7)} ${slowestMs.toFixed(1).padStart(11)} ${findings}`,
  );
}
process.exitCode = rows.some(({ findings }) => findings > 0) ? 1 : 0;

/** @param {import("../test/fuzz/fuzzer.mjs").Target} target */
function run(target) {
  const before = performance.now();
  const fuzzer = new Fuzzer({ target, coverage, seed, corpus: readCorpus(target.name).map(({ input }) => input) });
  const { progress } = fuzzer;
  let said = before;
  for (let now = before; now < before + seconds * 1000; now = performance.now()) {
    fuzzer.step();
    if (now < said + PROGRESS_MS) continue;
    said = now;
    say(
      `${target.name}: ${progress.executions} executions, ${progress.blocks} blocks, ${progress.findings.length} findings`,
    );
  }
  for (const { input, what, cause, executions } of progress.findings) {
    say(`\n${target.name}: ${what}, after ${executions} executions, kept as ${keepRegression(target.name, input)}`);
    say(cause instanceof Error ? (cause.stack ?? cause.message) : String(cause));
  }
  if (values.keep) replaceCorpus(target.name, minimise({ target, coverage, inputs: progress.pool }));
  const perSecond = Math.round((1000 * progress.executions) / (performance.now() - before));
  const { executions, blocks, findings, slowestMs } = progress;
  const corpus = progress.pool.length;
  return { name: target.name, executions, perSecond, blocks, corpus, slowestMs, findings: findings.length };
}

/** @param {string} why @returns {never} */
function fail(why) {
  process.stderr.write(`${why}\n`);
  process.exit(2);
}
