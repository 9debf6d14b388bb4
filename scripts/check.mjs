// Types, lint with layers, format, tidy. Everything is said, not only the first thing that is wrong.
import { pathToFileURL } from "node:url";
import { runTool, say } from "./steps.mjs";

const STEPS = [
  { name: "types", tool: "tsc", args: ["-p", "tsconfig.json"] },
  {
    name: "lint and layers",
    tool: "oxlint",
    args: ["--type-aware", "--deny-warnings", "src", "test", "bench", "scripts"],
  },
  { name: "format", tool: "biome", args: ["format", "."] },
  { name: "tidy", tool: "vitest", args: ["run", "--project", "unit", "test/unit/tidy.test.ts", "--reporter=dot"] },
];

/** @returns {boolean} */
export function check() {
  let ok = true;
  for (const step of STEPS) {
    const before = performance.now();
    const passed = runTool(step.tool, step.args);
    const seconds = ((performance.now() - before) / 1000).toFixed(1);
    say(`${passed ? "✓" : "✗"} ${step.name} (${seconds} s)`);
    ok &&= passed;
  }
  return ok;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) process.exitCode = check() ? 0 : 1;
