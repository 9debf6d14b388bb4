// F6 F7: a file system of a few megabytes that is really full, for a while. Meanwhile nothing new is promised and what
// stands stays; once there is room again promises are made without anyone's doing; and nothing acknowledged is gone.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, statfsSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FAULT_ROUND } from "./images.mjs";
import { judge } from "./oracle.mjs";
import { mustStart } from "./syscall-kills.mjs";

const DISK_BYTES = 8 * 1024 * 1024;
/** What is left when the disk is "full": each point another amount, so that each kind of write is the first refused. */
const LEFT_STEP_BYTES = 2048;
const POINTS = 16;
const PATIENCE_MEANWHILE = 5;

/** @typedef {"tmpfs" | "ext4"} FileSystem */
/** @typedef {import("./lane.mjs").Lane} Lane */

/** @returns {import("./series.mjs").Series[]} */
export function fullDisks() {
  return /** @type {const} */ (["tmpfs", "ext4"]).flatMap((type) => [
    {
      name: `full/${type}/serving`,
      image: "new",
      faults: "F6 F7",
      last: POINTS,
      run: (lane, library, nth) => onDisk(lane, library, type, (disk) => serving(lane, disk, nth)),
    },
    {
      name: `full/${type}/starting`,
      image: "new",
      faults: "F7",
      last: POINTS,
      run: (lane, library, nth) => onDisk(lane, library, type, (disk) => starting(lane, disk, nth)),
    },
  ]);
}

/**
 * @param {Lane} lane @param {import("./oracle.mjs").Library} library @param {FileSystem} type
 * @param {(disk: Disk) => Promise<{ fired: boolean; complaints: string[] }>} live
 */
async function onDisk(lane, library, type, live) {
  const disk = new Disk(type, lane.dataDir, `${lane.gateway.folder}/disk`);
  try {
    const { fired, complaints } = await live(disk);
    await lane.gateway.kill();
    const verdict = await judge(lane, library);
    return { fired, outcome: verdict.outcome, faults: [...complaints, ...verdict.faults] };
  } finally {
    await lane.gateway.kill();
    disk.close();
  }
}

/** @param {Lane} lane @param {Disk} disk @param {number} nth */
async function serving(lane, disk, nth) {
  await mustStart(lane);
  await lane.load(FAULT_ROUND + 1);
  disk.fill((nth - 1) * LEFT_STEP_BYTES);
  const complete = await lane.load(FAULT_ROUND, { patience: PATIENCE_MEANWHILE });
  const complaints = lane.gateway.running ? [] : ["a full disk ends the daemon"];
  disk.empty();
  if (lane.gateway.running && !(await lane.load(FAULT_ROUND)))
    complaints.push(`it does not recover: ${lane.gateway.log.at(-1)}`);
  return { fired: !complete, complaints };
}

/** @param {Lane} lane @param {Disk} disk @param {number} nth */
async function starting(lane, disk, nth) {
  await mustStart(lane);
  await lane.load(FAULT_ROUND);
  await lane.gateway.kill();
  disk.fill((nth - 1) * LEFT_STEP_BYTES);
  const { up, line } = await lane.start();
  const complaints = up && line?.msg === "safe-mode" ? [`safe mode on a full disk: ${String(line.reason)}`] : [];
  await lane.gateway.kill();
  disk.empty();
  return { fired: !up, complaints };
}

/** @type {Set<Disk>} */
const mounted = new Set();
// Before anyone removes the directories: a mount that stays behind would be in their way.
process.prependListener("exit", () => {
  for (const disk of mounted) disk.close();
});

/** Mounted where the data directory is. */
class Disk {
  #directory;
  #image;

  /** @param {FileSystem} type @param {string} directory @param {string} image */
  constructor(type, directory, image) {
    this.#directory = directory;
    this.#image = image;
    mkdirSync(directory, { recursive: true });
    mounted.add(this);
    if (type === "tmpfs") {
      execFileSync("mount", ["-t", "tmpfs", "-o", `size=${DISK_BYTES}`, "tmpfs", directory]);
      return;
    }
    writeFileSync(image, "");
    truncateSync(image, DISK_BYTES);
    execFileSync("mkfs.ext4", ["-q", "-F", "-m", "0", image]);
    execFileSync("mount", ["-o", "loop", image, directory]);
  }

  /** All but so many bytes. @param {number} left */
  fill(left) {
    const { bavail, bsize } = statfsSync(this.#directory);
    const ballast = Math.max(0, bavail * bsize - left);
    try {
      writeFileSync(this.#ballast, Buffer.alloc(ballast, 1), { flush: true });
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== "ENOSPC") throw error;
    }
  }

  empty() {
    rmSync(this.#ballast, { force: true });
  }

  close() {
    mounted.delete(this);
    // Lazily: on the way out the daemon may still have files of it open.
    execFileSync("umount", ["-l", this.#directory]);
    if (existsSync(this.#image)) rmSync(this.#image);
  }

  get #ballast() {
    return join(this.#directory, "ballast");
  }
}
