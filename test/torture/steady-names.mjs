// Loaded into the program under test by NODE_OPTIONS=--import: a file that is not finished has a random name, and strace
// follows names. Here the n-th such file of a process has the same name each time.
import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";

/** Of the random part of such a name, and of nothing else that is drawn. */
const BYTES = 4;
const { randomBytes } = crypto;
let drawn = 0;

// The program draws synchronously only.
crypto.randomBytes = (/** @type {number} */ size) => {
  if (size !== BYTES) return randomBytes(size);
  drawn += 1;
  const bytes = Buffer.alloc(BYTES);
  bytes.writeUInt32BE(drawn);
  return bytes;
};
syncBuiltinESMExports();
