// A codec with one planted bug each, deep behind conditions that chance does not meet: what the fuzzer is tried on.

/** Its own error. */
export class FrameError extends Error {
  /** @override */
  name = "FrameError";
}

const VERSION = 3;
const LIST = 7;

/**
 * Version, kind, count, then `count` numbers of two octets.
 * @param {Buffer} bytes
 * @param {"none" | "off-by-one" | "endless" | "hungry" | "quadratic"} bug
 * @returns {number[]}
 */
export function decodeFrame(bytes, bug) {
  if (bytes.length < 3) throw new FrameError("too short");
  if (bytes[0] !== VERSION) throw new FrameError("another version");
  if (bytes[1] !== LIST) throw new FrameError("another kind");
  const count = bytes[2] ?? 0;
  if (count < 2) throw new FrameError("a list of less than two");
  const end = bug === "off-by-one" ? bytes.length + 1 : bytes.length;
  if (3 + 2 * count > end) throw new FrameError("the list is cut short");
  if (bug === "hungry" && bytes[3] === 0xff) Buffer.alloc(bytes.readUInt16BE(4) * 65536);
  while (bug === "endless" && bytes[3] === 0xff) bytes[4] = 0;
  const numbers = [];
  for (let index = 0; index < count; index += 1) {
    numbers.push(bytes.readUInt16BE(3 + 2 * index));
    if (bug === "quadratic") for (let before = 0; before < 3000 * count; before += 1) numbers.at(before);
  }
  return numbers;
}
