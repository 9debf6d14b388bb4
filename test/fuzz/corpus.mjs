import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const CORPUS = fileURLToPath(new URL("corpus", import.meta.url));
/** What once broke something. */
const REGRESSION = "regression-";

/** @param {string} target */
const folderOf = (target) => join(CORPUS, target);

/** @param {Buffer} input */
const nameOf = (input) => createHash("sha256").update(input).digest("hex").slice(0, 12);

/** @param {string} target @returns {{ name: string; input: Buffer }[]} */
export function readCorpus(target) {
  const folder = folderOf(target);
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).sort();
  return names.map((name) => ({ name, input: readFileSync(join(folder, name)) }));
}

/** Folders there are: the names of targets. */
export const corpusFolders = () => readdirSync(CORPUS).sort();

/** Puts `inputs` in place of all that has no name of its own: regressions, and seeds written by hand. @param {string} target @param {readonly Buffer[]} inputs */
export function replaceCorpus(target, inputs) {
  const folder = folderOf(target);
  mkdirSync(folder, { recursive: true });
  for (const { name, input } of readCorpus(target)) if (name === nameOf(input)) rmSync(join(folder, name));
  const kept = new Set(readCorpus(target).map(({ input }) => nameOf(input)));
  for (const input of inputs) if (!kept.has(nameOf(input))) writeFileSync(join(folder, nameOf(input)), input);
}

/** @param {string} target @param {Buffer} input @returns {string} the file */
export function keepRegression(target, input) {
  const folder = folderOf(target);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, REGRESSION + nameOf(input));
  writeFileSync(file, input);
  return file;
}
