// Sources to dist/, file by file for tests and tools, and to bundle/, which runs; both in one step: what runs meanwhile
// never sees half of one, and no file without a source stays behind.
import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ROOT, runTool } from "./steps.mjs";

const FOLDERS = ["dist", "bundle"];

/** To be called once npm's packages are there. @returns {Promise<boolean>} */
export async function build() {
  const [dist = "", bundled = ""] = FOLDERS.map((name) => join(ROOT, `${name}-next`));
  discard(dist, bundled);
  try {
    if (!runTool("tsc", ["-p", "tsconfig.build.json", "--outDir", dist, "--noEmitOnError"])) return false;
    const { bundle } = await import("./bundle.mjs");
    await bundle(bundled);
    discard(...FOLDERS.map((name) => join(ROOT, name)));
    for (const name of FOLDERS) renameSync(join(ROOT, `${name}-next`), join(ROOT, name));
    return true;
  } finally {
    discard(dist, bundled);
  }
}

/** @param {string[]} folders */
function discard(...folders) {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) process.exitCode = (await build()) ? 0 : 1;
