// `npm run simulate -- --seeds 100000 [--seed FIRST]`: the deterministic simulation on seeds that `npm test` does not run.
import { parseArgs } from "node:util";
import { ensureNpmPackages, runTool, say } from "./steps.mjs";

const HELP = "npm run simulate -- [--seeds COUNT] [--seed FIRST]   (10000 seeds from one that the clock chooses)";

const { values } = parseArgs({
  options: { seeds: { type: "string" }, seed: { type: "string" }, help: { type: "boolean" } },
});
const count = Number(values.seeds ?? 10_000);
const first = Number(values.seed ?? Math.floor(Date.now() / 1000));

if (values.help === true) say(HELP);
else if (!isSeed(count) || count < 1 || !isSeed(first) || first + count > 2 ** 32) {
  say(`--seeds and --seed are whole numbers below 2^32.\n${HELP}`);
  process.exitCode = 2;
} else if (!ensureNpmPackages()) {
  say("npm packages could not be installed");
  process.exitCode = 1;
} else {
  say(`· simulation: ${count} seeds from ${first}`);
  const args = ["run", "seeds-", "--project=simulation", "--disable-console-intercept"];
  const env = { ...process.env, PORTREEVE_SIMULATION: `${first}:${count}` };
  if (!runTool("vitest", args, { env })) process.exitCode = 1;
}

/** @param {number} value */
function isSeed(value) {
  return Number.isInteger(value) && value >= 0;
}
