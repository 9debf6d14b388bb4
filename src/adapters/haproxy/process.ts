import { execFile } from "node:child_process";
import { readdir, readFile, readlink } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { PortreeveError } from "../../lib/errors.ts";
import { asHaproxySees, FOLDER_DESCRIPTOR } from "./config.ts";

const PROGRAM = "haproxy";
const START_WITHIN_MS = 10_000;
/** It ends within milliseconds when told to; one that hangs is ended. */
const END_WITHIN_MS = 500;
const LOOK_EVERY_MS = 10;

/** Debian's package and most others make it; sharing "nobody" with others is second best. */
const USERS = ["haproxy", "nobody"];

/**
 * Leaves all but the standard streams behind, as we hold files without O_CLOEXEC and HAProxy outlives us, and opens its
 * folder, which we may enter and its user may not.
 */
const ENTER =
  "for fd in /proc/$$/fd/*; do fd=${fd##*/}; ((fd > 2)) && exec {fd}>&-; done; " +
  `exec ${FOLDER_DESCRIPTOR}<"$0" && cd / && exec "$@"`;

/** With a socket for stdin, as Node makes them, bash takes itself for a remote shell and would run root's ~/.bashrc. */
const NO_STARTUP_FILE = "--norc";

export const configFile = (instanceId: string): string => `portreeve-${instanceId}.cfg`;

export interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

async function user(): Promise<User | null> {
  if (process.getuid?.() !== 0) return null;
  const lines = (await readFile("/etc/passwd", "utf8")).split("\n").map((line) => line.split(":"));
  for (const name of USERS) {
    const [, , uid, gid] = lines.find((fields) => fields[0] === name) ?? [];
    if (uid !== undefined && gid !== undefined) return { name, uid: Number(uid), gid: Number(gid) };
  }
  throw new PortreeveError("UNAVAILABLE", "there is no user haproxy (or nobody) for HAProxy to run as", "terminal");
}

/** CAP_NET_ADMIN alone is left to it, for connections that have the client's address (IP_TRANSPARENT). */
function withoutPrivileges(user: User | null): string[] {
  const only = "-all,+net_admin";
  const identity =
    user === null ? [] : [`--reuid=${user.uid}`, `--regid=${user.gid}`, "--clear-groups", `--bounding-set=${only}`];
  return ["setpriv", ...identity, `--inh-caps=${only}`, `--ambient-caps=${only}`, "--no-new-privs"];
}

export interface Start {
  readonly folder: string;
  readonly instanceId: string;
  readonly user: User | null;
  readonly replaced: readonly number[];
}

/** What is done with processes. */
export interface HaproxyProgram {
  /** Whom HAProxy runs as; null: as ourselves, since only root can choose. */
  user(): Promise<User | null>;
  /**
   * Starts HAProxy in a session of its own, where neither Ctrl-C nor our end reaches it. Comes back when it listens; those
   * it replaces then carry on what they have. Rejects with what it said.
   */
  start(start: Start): Promise<void>;
  /** Those of an instance in our own network namespace; found by what they are, not by a file that may be stale. */
  running(instanceId: string): Promise<readonly RunningHaproxy[]>;
  /** Ends those that run now, with what they carry. */
  end(instanceId: string): Promise<readonly RunningHaproxy[]>;
}

export const haproxyProgram: HaproxyProgram = { user, start, running, end };

function start({ folder, instanceId, user, replaced }: Start): Promise<void> {
  const finish = replaced.length === 0 ? [] : ["-sf", ...replaced.map(String)];
  const haproxy = [PROGRAM, "-D", "-f", asHaproxySees(configFile(instanceId)), ...finish];
  const args = [NO_STARTUP_FILE, "-c", ENTER, folder, ...withoutPrivileges(user), ...haproxy];
  return new Promise((resolve, reject) => {
    const options = {
      env: { PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" },
      cwd: "/",
      timeout: START_WITHIN_MS,
      killSignal: "SIGKILL",
    } as const;
    const child = execFile("bash", args, options, (error, _stdout, stderr) => {
      if (error === null) resolve();
      else reject(new PortreeveError("UNAVAILABLE", startFault(stderr), "transient", { cause: error }));
    });
    child.stdin?.on("error", () => undefined);
    child.stdin?.end();
  });
}

function startFault(stderr: string): string {
  const said = stderr
    .split("\n")
    .filter((line) => line.includes("[ALERT]") || !/^\[(NOTICE|WARNING)\]/.test(line))
    .map((line) => line.replace(/^\[ALERT\]\s*\(\d+\) : /, "").trim())
    .filter((line) => line !== "");
  return `HAProxy did not start: ${said.slice(0, 3).join("; ") || "it said nothing"}`;
}

export interface RunningHaproxy {
  readonly pid: number;
  readonly folder: string;
}

async function running(instanceId: string): Promise<RunningHaproxy[]> {
  const namespace = await readlink("/proc/self/ns/net");
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(pids.map((pid) => haproxyAt(pid, instanceId, namespace)));
  return found.filter((each) => each !== null);
}

async function haproxyAt(pid: number, instanceId: string, namespace: string): Promise<RunningHaproxy | null> {
  try {
    const [command = "", ...args] = (await readFile(`/proc/${pid}/cmdline`, "utf8")).split("\0");
    if (command.split("/").at(-1) !== PROGRAM || !args.includes(asHaproxySees(configFile(instanceId)))) return null;
    if ((await readlink(`/proc/${pid}/ns/net`)) !== namespace) return null;
    return { pid, folder: await readlink(`/proc/${pid}/fd/${FOLDER_DESCRIPTOR}`) };
  } catch {
    // It ended while we looked.
    return null;
  }
}

async function end(instanceId: string): Promise<readonly RunningHaproxy[]> {
  const found = await running(instanceId);
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    const deadline = performance.now() + END_WITHIN_MS;
    for (const { pid } of await running(instanceId)) send(pid, signal);
    while ((await running(instanceId)).length > 0 && performance.now() < deadline) await sleep(LOOK_EVERY_MS);
  }
  return found;
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended after all.
  }
}
