import { existsSync } from "node:fs";
import { access, constants, readdir, readFile, readlink, statfs } from "node:fs/promises";
import { release } from "node:os";
import koffi from "koffi";
import type { DiskFacts, SysctlFacts } from "../../reducers/doctor/machine.ts";
import type { SysctlRow } from "../../reducers/select/rows.ts";
import { sysctlPath } from "./sysctl-target.ts";

/** What a doctor wants to know of the machine; all of it is read, nothing changed. */

export async function readSysctls(rows: Iterable<SysctlRow>): Promise<SysctlFacts[]> {
  return await Promise.all(
    [...rows].map(async ({ name, value, unless, reason }) => {
      const found = (await readFile(sysctlPath(name), "utf8").catch(() => null))?.trim() ?? null;
      const wanted = found !== null && found === unless ? found : value;
      return { name, wanted, found, reason };
    }),
  );
}

export async function isProgram(name: string): Promise<boolean> {
  const folders = `${process.env["PATH"] ?? ""}:/usr/local/sbin:/usr/sbin:/sbin`
    .split(":")
    .filter((each) => each !== "");
  for (const folder of folders) {
    const there = await access(`${folder}/${name}`, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (there) return true;
  }
  return false;
}

export const hasTun = (): boolean => existsSync("/dev/net/tun");

/** Loaded, or one that the kernel will load when it is asked for such a link. */
export async function hasWireguardModule(): Promise<boolean> {
  if (existsSync("/sys/module/wireguard")) return true;
  const folder = `/lib/modules/${release()}`;
  const lists = await Promise.all(
    ["modules.dep", "modules.builtin"].map((name) => readFile(`${folder}/${name}`, "utf8").catch(() => "")),
  );
  return lists.some((text) => /\/wireguard\.ko/.test(text));
}

/** Larger than struct timex of include/uapi/linux/timex.h; all zeros asks and sets nothing. */
const TIMEX_SIZE = 512;
/** What adjtimex(2) returns while STA_UNSYNC is set. */
const TIME_ERROR = 5;

/** Null where the kernel may not be asked: a sandbox. */
export function isClockSynchronised(): boolean | null {
  const adjtimex = koffi.load(null).func("int adjtimex(_Inout_ uint8_t *state)");
  const state = adjtimex(new Uint8Array(TIMEX_SIZE)) as number;
  return state < 0 ? null : state !== TIME_ERROR;
}

export async function readDisk(path: string): Promise<DiskFacts> {
  const { bsize, bavail, blocks, files, ffree } = await statfs(path);
  return {
    path,
    freeBytes: bavail * bsize,
    totalBytes: blocks * bsize,
    freeFiles: files === 0 ? null : ffree,
  };
}

/** "miniupnpd (pid 812)"; null if no process that we may look at has the socket open. */
export async function holderOf(inode: string): Promise<string | null> {
  const wanted = `socket:[${inode}]`;
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const descriptors = await readdir(`/proc/${pid}/fd`).catch((): string[] => []);
    for (const descriptor of descriptors) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => "");
      if (target !== wanted) continue;
      const name = (await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "a program")).trim();
      return `${name} (pid ${pid})`;
    }
  }
  return null;
}
