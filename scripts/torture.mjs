// `npm run torture -- [--only REGEX] [--point NAME/N]… [--jobs N] [--seed N] [--probes N]`: every fault of
// test/torture on the built program, with what came of each. A point that fails prints how to run it alone.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { missingForLab, findProgram, sweepNamespaces } from "../test/lab/topology.mjs";
import { count, emptyTally, runAll, runPoints } from "../test/torture/campaign.mjs";
import { allSeries, bulkFamilies } from "../test/torture/families.mjs";
import { build } from "./build.mjs";
import { say } from "./steps.mjs";

const PROGRESS_MS = 15_000;
const FAULTS_SHOWN = 3;
const GOLDEN = (Math.sqrt(5) - 1) / 2;

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "." },
    point: { type: "string", multiple: true },
    jobs: { type: "string", default: "4" },
    seed: { type: "string", default: "20240501" },
    probes: { type: "string", default: "24000" },
    "no-build": { type: "boolean", default: false },
  },
});
const program = ["strace", "wg", "wireguard-go", "haproxy"].find((name) => findProgram(name) === null);
const missing = missingForLab() ?? (program === undefined ? null : `the program "${program}" is not installed`);
if (missing !== null) fail(missing);
if (!values["no-build"] && !(await build())) fail("the build failed");

// In memory where there is such a place: thousands of directories, each written and removed.
if (existsSync("/dev/shm")) process.env.TMPDIR ??= "/dev/shm";
const folder = mkdtempSync(join(tmpdir(), "portreeve-torture-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

/** @type {Map<string, import("../test/torture/campaign.mjs").Tally & { faults: string }>} */
const rows = new Map();
const started = performance.now();
let said = started;

// What is known so far is worth having.
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) {
  process.once(signal, () => {
    sayTable();
    process.exit(130);
  });
}

const only = new RegExp(values.only);
const all = allSeries();
const extent = { seed: Number(values.seed), probes: Number(values.probes), stride: 1 };
if (values.point !== undefined) await runPoints(all, values.point, { folder, jobs: 1, onPoint: sayPoint });
else await Promise.all([runSeries(), runBulk()]);
await sweepNamespaces();
sayTable();
const failed = [...rows.values()].reduce((sum, row) => sum + row.failed, 0);
const points = [...rows.values()].reduce((sum, row) => sum + row.points, 0);
process.exitCode = failed > 0 || points === 0 ? 1 : 0;

async function runSeries() {
  const chosen = all.filter(({ name }) => only.test(name));
  // Strewn, so that a run that is cut short has seen some of everything.
  const places = new Map(chosen.map((series, index) => [series, (index * GOLDEN) % 1]));
  chosen.sort((a, b) => Number(places.get(a)) - Number(places.get(b)));
  if (chosen.length > 0) await runAll(chosen, { folder, jobs: Number(values.jobs), onPoint });
}

/** Beside them: a lane waits as much as it works. */
async function runBulk() {
  for (const family of bulkFamilies(extent)) {
    if (!only.test(family.name)) continue;
    for await (const { row, point, verdict } of family.run(join(folder, "bulk")))
      note(row, family.faults, point, verdict);
  }
}

/** @param {import("../test/torture/series.mjs").Series} series @param {import("../test/torture/series.mjs").Reached} reached */
function onPoint(series, { point, result }) {
  note(series.name.split("/").slice(0, 3).join("/"), series.faults, point, result);
}

/** @param {import("../test/torture/series.mjs").Series} series @param {import("../test/torture/series.mjs").Reached} reached @param {import("../test/torture/lane.mjs").Lane} lane */
function sayPoint(series, reached, lane) {
  onPoint(series, reached);
  say(`${reached.point}: ${reached.result.fired ? "fired" : "did not fire"}, ${reached.result.outcome}`);
  for (const line of lane.gateway.log) say(`  ${line}`);
}

/** @param {string} row @param {string} faults @param {string} point @param {import("../test/torture/oracle.mjs").Verdict} verdict */
function note(row, faults, point, verdict) {
  const tally = rows.get(row) ?? { ...emptyTally(), faults };
  rows.set(row, tally);
  count(tally, verdict);
  if (verdict.faults.length > 0) {
    say(`FAILED ${point}`);
    for (const fault of verdict.faults.slice(0, FAULTS_SHOWN)) say(`  ${fault}`);
    const alone = all.some(({ name }) => point.startsWith(`${name}/`))
      ? `--point ${point}`
      : `--only ${row} --seed ${values.seed}`;
    say(`  again: npm run torture -- ${alone}`);
  }
  const now = performance.now();
  if (now < said + PROGRESS_MS) return;
  said = now;
  const sum = [...rows.values()].reduce((total, each) => total + each.points, 0);
  say(`${((now - started) / 1000).toFixed(0)} s: ${sum} points, now ${point}`);
}

function sayTable() {
  const width = Math.max(8, ...[...rows.keys()].map((name) => name.length));
  say(
    `\n${"fault".padEnd(width)}  ${"points".padStart(7)} ${"whole".padStart(7)} ${"safe mode".padStart(9)} ${"failed".padStart(7)}  catalogue`,
  );
  const total = emptyTally();
  for (const [name, row] of [...rows].sort(([a], [b]) => (a < b ? -1 : 1))) {
    say(line(name, row, row.faults));
    for (const key of /** @type {const} */ (["points", "whole", "safe", "failed"])) total[key] += row[key];
  }
  say(line("all", total, `${((performance.now() - started) / 1000).toFixed(0)} s`));

  /** @param {string} name @param {import("../test/torture/campaign.mjs").Tally} tally @param {string} rest */
  function line(name, tally, rest) {
    const { points, whole, safe, failed } = tally;
    return `${name.padEnd(width)}  ${String(points).padStart(7)} ${String(whole).padStart(7)} ${String(safe).padStart(9)} ${String(failed).padStart(7)}  ${rest}`;
  }
}

/** @param {string} why @returns {never} */
function fail(why) {
  process.stderr.write(`${why}\n`);
  process.exit(2);
}
