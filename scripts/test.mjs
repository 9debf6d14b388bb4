// Everything, from a fresh clone, alone. The last line is "N passed, N failed, N skipped"; exit 0 only if all passed.
import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ensureNpmPackages, installSystemPackages, missingSystemPackages, say, RESULTS, ROOT } from "./steps.mjs";

const requireLab = process.env.PORTREEVE_REQUIRE_LAB === "1";

const totals = { passed: 0, failed: 0, skipped: 0 };
/** @type {string[]} */
const notes = [];

prepareSystem();
if (!ensureNpmPackages()) fail("npm packages could not be installed");
else {
  const { build } = await import("./build.mjs");
  const { check } = await import("./check.mjs");
  say("· build");
  if (!(await build())) fail("the build failed");
  else {
    say("· check");
    if (!check()) fail("npm run check failed");
    for (const project of ["unit", "apart", "replay"]) await runProject(project);
    // A simulation lives in a time of its own: it can have what the lab, which mostly waits, leaves of the machine.
    await Promise.all([runProject("lab"), runProject("simulation", { beside: true })]);
    await import("../test/lab/topology.mjs").then(({ sweepNamespaces }) => sweepNamespaces());
  }
}

for (const note of notes) say(`· ${note}`);
if (requireLab && totals.skipped > 0) say("· PORTREEVE_REQUIRE_LAB=1: what was skipped counts as failed");
process.exitCode = totals.failed === 0 && !(requireLab && totals.skipped > 0) && totals.passed > 0 ? 0 : 1;
say(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);

/** Lab tests name what they miss and are skipped; as root on Debian we can do better than that. */
function prepareSystem() {
  const missing = missingSystemPackages("packaging/test-packages");
  if (missing === null || missing.length === 0) return;
  if (process.getuid?.() !== 0) {
    notes.push(
      `not installed, so lab tests that need them are skipped: ${missing.join(" ")} (root could install them)`,
    );
    return;
  }
  if (!installSystemPackages(missing)) notes.push(`apt-get could not install: ${missing.join(" ")}`);
}

/** @param {string} project @param {{ beside?: boolean }} [options] `beside`: with least priority, and told of at the end */
async function runProject(project, { beside = false } = {}) {
  say(`· tests: ${project}`);
  const before = performance.now();
  const report = join(RESULTS, `${project}.json`);
  rmSync(report, { force: true });
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const vitest = [join(ROOT, "node_modules/.bin/vitest"), "run", "--project", project, ...reporters];
  const ok = await runVitest(beside ? ["nice", "-n", "19", ...vitest] : vitest, beside);
  if (!existsSync(report)) return fail(`${project}: vitest gave no result`);
  const result = JSON.parse(readFileSync(report, "utf8"));
  totals.passed += result.numPassedTests;
  totals.failed += result.numFailedTests;
  totals.skipped += result.numPendingTests + (result.numTodoTests ?? 0);
  // A file that does not load has no failed test, and still nothing of it passed.
  if (!ok && result.numFailedTests === 0) fail(`${project}: a test file or hook failed`);
  say(`· ${project}: ${result.numPassedTests} passed in ${((performance.now() - before) / 1000).toFixed(0)} s`);
}

/** @param {string[]} command @param {boolean} beside @returns {Promise<boolean>} whether it exited 0 */
function runVitest([program = "", ...args], beside) {
  const child = spawn(program, args, { cwd: ROOT, stdio: ["ignore", beside ? "pipe" : "inherit", "inherit"] });
  let text = "";
  child.stdout?.setEncoding("utf8").on("data", (piece) => {
    text += piece;
  });
  return new Promise((resolve) => {
    child.once("error", (cause) => {
      process.stderr.write(`${program}: ${cause.message}\n`);
      resolve(false);
    });
    child.once("close", (code) => {
      process.stdout.write(text);
      resolve(code === 0);
    });
  });
}

/** @param {string} why */
function fail(why) {
  totals.failed += 1;
  notes.push(why);
}
