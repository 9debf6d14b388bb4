import { closeSync, openSync, readSync } from "node:fs";

const CHUNK = 65_536;

/** A file has more than it may have. */
export class FileTooLong extends Error {
  override readonly name = "FileTooLong";

  constructor(maxBytes: number) {
    super(`has more than ${maxBytes / 1024 / 1024} MiB`);
  }
}

/**
 * A text that is read no further than it may go: its length is not asked for beforehand, as a pipe has none and a device
 * such as /dev/zero no end. Throws what the system says, or `FileTooLong`.
 */
export function readBoundedText(file: string, maxBytes: number): string {
  const descriptor = openSync(file, "r");
  try {
    const chunks: Buffer[] = [];
    for (let length = 0; ; ) {
      const chunk = Buffer.allocUnsafe(CHUNK);
      const read = readSync(descriptor, chunk);
      if (read === 0) return Buffer.concat(chunks).toString("utf8");
      length += read;
      if (length > maxBytes) throw new FileTooLong(maxBytes);
      chunks.push(chunk.subarray(0, read));
    }
  } finally {
    closeSync(descriptor);
  }
}
