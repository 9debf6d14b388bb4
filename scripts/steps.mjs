// What the scripts share: running a program, saying what happens, installing what a fresh clone lacks.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, lstatSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** Where `npm test` leaves vitest's reports, by project, for `npm run mission`. */
export const RESULTS = join(ROOT, "node_modules/.cache/portreeve-tests");

/** @param {string} text */
export function say(text) {
  process.stdout.write(`${text}\n`);
}

/**
 * Runs to the end with our own terminal.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ env?: NodeJS.ProcessEnv; quiet?: boolean }} [options]
 * @returns {boolean} whether it exited 0
 */
export function runProgram(program, args, options = {}) {
  const result = spawnSync(program, args, {
    cwd: ROOT,
    env: { ...process.env, ...options.env },
    stdio: options.quiet === true ? ["ignore", "pipe", "pipe"] : "inherit",
    encoding: "utf8",
  });
  if (options.quiet === true && result.status !== 0) {
    process.stdout.write(result.stdout ?? "");
    process.stderr.write(result.stderr ?? "");
  }
  if (result.error !== undefined) process.stderr.write(`${program}: ${result.error.message}\n`);
  return result.status === 0;
}

/** A tool that npm installed. @param {string} name @param {readonly string[]} args */
export function runTool(name, args, options = {}) {
  return runProgram(join(ROOT, "node_modules/.bin", name), args, options);
}

/** Installs the npm packages if there are none, or older ones than the lockfile asks for. @returns {boolean} */
export function ensureNpmPackages() {
  const installed = join(ROOT, "node_modules/.package-lock.json");
  const wanted = join(ROOT, "package-lock.json");
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(wanted).mtimeMs) return true;
  if (existsSync(installed) && sameLock(installed, wanted)) return true;
  // npm ci empties node_modules first, through a link too: what another checkout uses is not ours to empty.
  if (lstatSync(join(ROOT, "node_modules"), { throwIfNoEntry: false })?.isSymbolicLink() === true) {
    process.stderr.write("node_modules is a symbolic link to packages that do not fit package-lock.json.\n");
    process.stderr.write("Remove the link and run this again, or run npm ci where it points.\n");
    return false;
  }
  say("· installing npm packages (npm ci)");
  // No install scripts: koffi and classic-level bring prebuilt binaries, so nothing needs them.
  return runProgram("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
}

/**
 * A checkout gives the lockfile a new time without changing it.
 * @param {string} installed @param {string} wanted
 */
function sameLock(installed, wanted) {
  const have = JSON.parse(readFileSync(installed, "utf8")).packages;
  const want = JSON.parse(readFileSync(wanted, "utf8")).packages;
  return Object.entries(want).every(
    ([name, entry]) => name === "" || entry.optional === true || have[name]?.version === entry.version,
  );
}

/** Debian packages of a list file that are not installed; null where that cannot be told. @param {string} file */
export function missingSystemPackages(file) {
  if (!existsSync("/etc/debian_version")) return null;
  const wanted = readFileSync(join(ROOT, file), "utf8")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  const result = spawnSync("dpkg-query", ["-W", "-f=${Package} ${db:Status-Status}\\n", ...wanted], {
    encoding: "utf8",
  });
  const have = new Set(
    result.stdout
      .split("\n")
      .filter((line) => line.endsWith(" installed"))
      .map((line) => line.split(" ")[0]),
  );
  return wanted.filter((name) => !have.has(name));
}

/**
 * Installs Debian packages so that none of them starts a service on this machine, now or when it boots: firewalld's
 * would filter its traffic.
 * @param {readonly string[]} packages
 * @returns {boolean}
 */
export function installSystemPackages(packages) {
  if (packages.length === 0) return true;
  say(`· installing Debian packages: ${packages.join(" ")}`);
  const undo = forbidServices();
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  const install = ["install", "-y", "-q", "--no-install-recommends", ...packages];
  try {
    if (runProgram("apt-get", install, { env, quiet: true })) return true;
    say("· package lists are missing or old: apt-get update");
    return runProgram("apt-get", ["update", "-q"], { env, quiet: true }) && runProgram("apt-get", install, { env });
  } finally {
    undo();
    // ufw and nftables.service filter nothing before they are told to; these would begin with the next boot. Ours is
    // another HAProxy than the one that the package's service runs.
    for (const name of ["firewalld", "haproxy", "nginx"]) {
      const wanted = `/etc/systemd/system/multi-user.target.wants/${name}.service`;
      if (!packages.some((each) => each.startsWith(name)) || !existsSync(wanted)) continue;
      runProgram("systemctl", ["disable", `${name}.service`], { quiet: true });
    }
  }
}

/** A policy-rc.d that answers "forbidden" (101) while packages are installed; an existing one is left alone. */
function forbidServices() {
  const policy = "/usr/sbin/policy-rc.d";
  if (existsSync(policy)) return () => undefined;
  writeFileSync(policy, "#!/bin/sh\nexit 101\n");
  chmodSync(policy, 0o755);
  return () => rmSync(policy, { force: true });
}
