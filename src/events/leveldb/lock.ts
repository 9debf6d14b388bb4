import { readFileSync, statSync } from "node:fs";
import { PortreeveError } from "../../lib/errors.ts";
import { writeFailed } from "../log-fault.ts";

export const locked = (message: string): PortreeveError => new PortreeveError("LOG_LOCKED", message, "fatal");

/**
 * Refuses while a process holds the lock on LevelDB's LOCK file. LevelDB refuses by itself, but only after it has
 * renamed the running one's text log; asking the kernel first leaves the other's directory untouched.
 */
export function refuseIfLocked(lockFile: string): void {
  const holder = lockHolder(lockFile);
  if (holder === null) return;
  const who = holder === process.pid ? "this process" : `process ${holder}`;
  throw locked(`${who} has the event log open (${lockFile}); stop it, or use another dataDir`);
}

/** Process that holds a POSIX lock on the file, as far as /proc/locks shows it to us. */
function lockHolder(lockFile: string): number | null {
  const stat = statSync(lockFile, { throwIfNoEntry: false, bigint: true });
  if (stat === undefined) return null;
  // Linux's encoding of dev_t in user space (sys/sysmacros.h): 12 bits major, 20 bits minor in two parts.
  const major = (stat.dev >> 8n) & 0xfffn;
  const minor = (stat.dev & 0xffn) | ((stat.dev >> 12n) & 0xfff00n);
  const hex = (part: bigint): string => part.toString(16).padStart(2, "0");
  const device = `${hex(major)}:${hex(minor)}:${stat.ino}`;
  for (const line of readLocks().split("\n")) {
    const fields = line.trim().split(/\s+/);
    if (fields[1] === "POSIX" && fields[5] === device) return Number(fields[4]);
  }
  return null;
}

function readLocks(): string {
  try {
    return readFileSync("/proc/locks", "utf8");
  } catch {
    return "";
  }
}

/**
 * LevelDB's lock is on the inode it opened. Once someone has unlinked LOCK, a second process locks another inode and
 * both write; whoever notices first must stop.
 */
export class LockGuard {
  readonly #file: string;
  readonly #inode: bigint;

  constructor(lockFile: string) {
    this.#file = lockFile;
    this.#inode = inodeOf(lockFile);
  }

  /** Throws LOG_LOCKED if LOCK is not the file we have locked, LOG_WRITE_FAILED if nobody can tell. */
  check(): void {
    const inode = inodeOf(this.#file);
    if (inode === this.#inode) return;
    const what =
      inode === 0n ? "is gone: its directory was removed, or another process" : "was replaced: another process";
    throw locked(`${this.#file} ${what} may be writing this event log, so we stopped`);
  }
}

/** 0 if there is none. */
function inodeOf(file: string): bigint {
  try {
    return statSync(file, { throwIfNoEntry: false, bigint: true })?.ino ?? 0n;
  } catch (cause) {
    throw writeFailed(`${file} cannot be looked at`, cause);
  }
}
