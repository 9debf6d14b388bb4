// Sources to dist/, in one step: what runs meanwhile never sees half of it, and no file without a source stays behind.
import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ROOT, runTool } from "./steps.mjs";

const DIST = join(ROOT, "dist");
const NEXT = join(ROOT, "dist-next");

/** @returns {boolean} */
export function build() {
  rmSync(NEXT, { recursive: true, force: true });
  if (!runTool("tsc", ["-p", "tsconfig.build.json", "--outDir", NEXT, "--noEmitOnError"])) {
    rmSync(NEXT, { recursive: true, force: true });
    return false;
  }
  rmSync(DIST, { recursive: true, force: true });
  renameSync(NEXT, DIST);
  return true;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) process.exitCode = build() ? 0 : 1;
