// A copy of a data directory that passes for the original. The head witness names the file it was written to, so that
// a restored copy is told from the real thing; here that name is written anew, and the rest is left as it was.
import { createHash } from "node:crypto";
import { closeSync, cpSync, existsSync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";

const SLOT_BYTES = 4096;
/** Which word of a slot names its file. */
const IDENTITY = 5;

/** @param {string} from @param {string} to */
export function copyAsOwn(from, to) {
  cpSync(from, to, { recursive: true });
  adoptWitness(to);
}

/** @param {string} dataDir */
export function adoptWitness(dataDir) {
  const path = join(dataDir, "witness");
  if (!existsSync(path)) return;
  const fd = openSync(path, "r+");
  try {
    const { ino, birthtimeNs } = fstatSync(fd, { bigint: true });
    for (const position of [0, SLOT_BYTES]) {
      const bytes = Buffer.alloc(256);
      readSync(fd, bytes, 0, bytes.length, position);
      const words = bytes.toString("latin1").split("\n", 1)[0]?.split(" ") ?? [];
      const sum = words.pop();
      // A slot that is not whole stays as it is.
      if (words.length <= IDENTITY || sum !== checksum(words.join(" "))) continue;
      words[IDENTITY] = `${ino}-${birthtimeNs}`;
      const named = words.join(" ");
      writeSync(fd, `${named} ${checksum(named)}\n`.padEnd(256, "\0"), position, "latin1");
    }
  } finally {
    closeSync(fd);
  }
}

const checksum = (/** @type {string} */ text) => createHash("sha256").update(text).digest("hex").slice(0, 16);
