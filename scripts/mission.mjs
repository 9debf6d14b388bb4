// Feature id → the tests that carry it in their name. A feature without a green end-to-end test counts 0.
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { RESULTS, ROOT, say } from "./steps.mjs";

const END_TO_END = "lab";
const json = process.argv.includes("--json");

const features = [...readFileSync(join(ROOT, "docs/features.md"), "utf8").matchAll(/^\| ([A-Z]\d+) \| (.+) \|$/gm)].map(
  ([, id = "", title = ""]) => ({ id, title }),
);
const results = ["unit", "apart", "replay", END_TO_END].flatMap(readResults);

const rows = features.map(({ id, title }) => {
  const carrying = results.filter(({ name }) => name.includes(`[${id}]`));
  const endToEnd = carrying.filter(({ project }) => project === END_TO_END);
  const green = endToEnd.filter(({ status }) => status === "passed").length;
  const there = green > 0 && endToEnd.every(({ status }) => status === "passed");
  return { id, title, endToEnd: there ? green : 0, others: carrying.length - endToEnd.length, tests: carrying };
});

if (json) {
  say(JSON.stringify(rows, null, 2));
} else {
  if (results.length === 0) say("No test results yet: run `npm test` first.\n");
  for (const { id, title, endToEnd, others } of rows) {
    say(
      `${endToEnd > 0 ? "✓" : "·"} ${id.padEnd(4)} ${String(endToEnd).padStart(3)} end to end, ${String(others).padStart(3)} other   ${title}`,
    );
  }
  say(
    `\n${rows.filter(({ endToEnd }) => endToEnd > 0).length} of ${rows.length} features have a green end-to-end test.`,
  );
}

/** @param {string} project what the last `npm test` saw of it */
function readResults(project) {
  const file = join(RESULTS, `${project}.json`);
  if (!existsSync(file)) return [];
  if (!json) say(`${project}: results of ${statSync(file).mtime.toISOString()}`);
  /** @type {{ testResults: { assertionResults: { fullName: string; status: string }[] }[] }} */
  const report = JSON.parse(readFileSync(file, "utf8"));
  return report.testResults.flatMap(({ assertionResults }) =>
    assertionResults.map(({ fullName, status }) => ({ project, name: fullName, status })),
  );
}
