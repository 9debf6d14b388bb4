// Sources to dist/, file by file for tests and tools, and to bundle/, which runs; both in one step: what runs meanwhile
// never sees half of one, and no file without a source stays behind.
import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ROOT, runTool } from "./steps.mjs";

const FOLDERS = ["dist", "bundle"];

/** @param {string} name */
const place = (name) => join(ROOT, name);
/** @param {string} name */
const next = (name) => place(`${name}-next`);
/** @param {readonly string[]} folders */
const discard = (folders) => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true }));

/** To be called once npm's packages are there; what is wrong is said. @returns {Promise<boolean>} */
export async function build() {
  discard(FOLDERS.map(next));
  try {
    if (!runTool("tsc", ["-p", "tsconfig.build.json", "--outDir", next("dist"), "--noEmitOnError"])) return false;
    const { bundle } = await import("./bundle.mjs");
    await bundle(next("bundle"));
    discard(FOLDERS.map(place));
    for (const name of FOLDERS) renameSync(next(name), place(name));
    return true;
  } catch (cause) {
    process.stderr.write(`${cause instanceof Error ? cause.message : String(cause)}\n`);
    return false;
  } finally {
    discard(FOLDERS.map(next));
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) process.exitCode = (await build()) ? 0 : 1;
