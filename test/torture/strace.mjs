// strace as the hand that fails or kills: at the n-th system call of a kind that touches a file of the data directory.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** What changes files: the calls a kill can fall between. One at a `close` finds what one at the next of these does. */
export const STORAGE_CALLS = /** @type {const} */ ([
  "openat",
  "write",
  "pwrite64",
  "fdatasync",
  "fsync",
  "rename",
  "unlink",
  "mkdir",
]);
/** LevelDB numbers its files from 1 on; the directories of these tests do not get beyond this. */
const FILE_NUMBER_MAX = 60;

/** @typedef {(typeof STORAGE_CALLS)[number]} StorageCall */
/**
 * @typedef {object} Injection
 * @property {StorageCall} call
 * @property {string} when strace's: "3" is the third, "3+" it and all that follow, "3..9" those
 * @property {string} what strace's: "signal=KILL", "error=EIO", "delay_enter=5000000"
 * @property {readonly string[]} [paths] of files that count; else all that the data directory may come to have
 */

/** With `STEADY_NAMES` a program draws these for files that it has not finished. */
const UNFINISHED = Array.from({ length: 9 }, (_, index) => `.0000000${index + 1}.tmp`);
const STEADY = fileURLToPath(new URL("steady-names.mjs", import.meta.url));
export const STEADY_NAMES = { NODE_OPTIONS: `--import=${STEADY}` };

/** Names that a file has while it is written durably, and then. @param {string} path */
export const namesOf = (path) => [path, ...UNFINISHED.map((ending) => path + ending)];

/**
 * strace follows paths one by one and no directories, so every name that may come to be is listed. What has a random
 * name until it is renamed is seen at its rename only.
 * @param {string} dataDir
 */
export function storagePaths(dataDir) {
  const fixed = ["", "witness", "clean", "suspect", "api-token", "snapshots", "archive", "evidence"];
  const paths = fixed.map((name) => join(dataDir, name));
  paths.push(...namesOf(join(dataDir, "../master.key")), ...namesOf(join(dataDir, "api-token")));
  paths.push(...logPaths(join(dataDir, "log"), FILE_NUMBER_MAX), ...logPaths(join(dataDir, "log.new"), 3));
  for (let seq = 1; seq <= 200; seq += 1) {
    paths.push(join(dataDir, "snapshots", `${seq.toString(16).padStart(14, "0")}.json`));
  }
  return paths;
}

/** @param {string} log @param {number} numberMax */
export function logPaths(log, numberMax) {
  const paths = [log, join(log, "CURRENT")];
  for (let number = 1; number <= numberMax; number += 1) {
    const digits = String(number).padStart(6, "0");
    for (const name of [`${digits}.log`, `${digits}.ldb`, `${digits}.dbtmp`, `MANIFEST-${digits}`])
      paths.push(join(log, name));
  }
  return paths;
}

/**
 * @param {string} dataDir
 * @param {string} output
 * @param {Injection} injection
 */
function straceArguments(dataDir, output, { call, when, what, paths = storagePaths(dataDir) }) {
  // A signal given at a seccomp stop is lost, so kills trace every call; all else is faster with the filter.
  const filter = what.startsWith("signal=") ? [] : ["--seccomp-bpf"];
  const followed = paths.flatMap((path) => ["-P", path]);
  return [
    "-f",
    ...filter,
    "-y",
    "-qq",
    "-o",
    output,
    ...followed,
    "-e",
    `trace=${call}`,
    "-e",
    `inject=${call}:${what}:when=${when}`,
  ];
}

/**
 * A command prefix; strace hides behind the program, whose pid stays the child's.
 * @param {string} dataDir @param {string} output @param {Injection} injection
 */
export const underStrace = (dataDir, output, injection) => [
  "strace",
  "-D",
  ...straceArguments(dataDir, output, injection),
];

/**
 * Resolves once strace has hold of a running process.
 * @param {number} pid @param {string} dataDir @param {string} output @param {Injection} injection
 */
export async function attachStrace(pid, dataDir, output, injection) {
  const traced = straceArguments(dataDir, output, injection).filter((argument) => argument !== "-qq");
  const child = spawn("strace", [...traced, "-p", String(pid)], { stdio: ["ignore", "ignore", "pipe"] });
  const lines = createInterface({ input: child.stderr });
  /** @type {string[]} */
  const said = [];
  await new Promise((resolve, reject) => {
    lines.on("line", (line) => {
      said.push(line);
      if (line.includes(`Process ${pid} attached`)) resolve(undefined);
    });
    child.once("exit", (code) => reject(new Error(`strace ended with ${code}: ${said.join("; ")}`)));
  });
  return {
    /** Lets go of the process. */
    async detach() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGINT");
      await once(child, "exit");
    },
  };
}
