import { readdir, readFile, readlink } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

const PROGRAM = "wireguard-go";
/** When its interface goes it ends within milliseconds; one that hangs is ended. */
const END_WITHIN_MS = 500;
const LOOK_EVERY_MS = 10;

/** The wireguard-go that serves an interface of our own network namespace. */
export interface Holder {
  readonly pid: number;
  /** Waits until it has ended by itself, then ends it. */
  end(): Promise<void>;
}

/** Found by what it is, not by a file that may be stale: its name, its command line, its namespace. */
export async function holderOf(interfaceName: string): Promise<Holder | null> {
  const namespace = await readlink("/proc/self/ns/net");
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  for (const pid of pids) {
    if (await serves(pid, interfaceName, namespace)) {
      return { pid, end: () => ended(pid, () => serves(pid, interfaceName, namespace)) };
    }
  }
  return null;
}

async function serves(pid: number, interfaceName: string, namespace: string): Promise<boolean> {
  try {
    const [command = "", argument] = (await readFile(`/proc/${pid}/cmdline`, "utf8")).split("\0");
    if (argument !== interfaceName || command.split("/").at(-1) !== PROGRAM) return false;
    return (await readlink(`/proc/${pid}/ns/net`)) === namespace;
  } catch {
    // It ended while we looked.
    return false;
  }
}

async function ended(pid: number, stillServes: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + END_WITHIN_MS;
  while (await stillServes()) {
    if (performance.now() > deadline) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It ended after all.
      }
      if (performance.now() > deadline + END_WITHIN_MS) return;
    }
    await sleep(LOOK_EVERY_MS);
  }
}
