// Sources to dist/. What an earlier build left is removed first: a file that no longer has a source must not run.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ROOT, runTool } from "./steps.mjs";

/** @returns {boolean} */
export function build() {
  rmSync(join(ROOT, "dist"), { recursive: true, force: true });
  return runTool("tsc", ["-p", "tsconfig.build.json"]);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) process.exitCode = build() ? 0 : 1;
