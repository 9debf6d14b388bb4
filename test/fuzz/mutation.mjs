// Inputs from inputs. Every choice comes from `pick`, so a seed repeats a run.

const EDGES = [0, 1, 2, 3, 4, 7, 8, 0x0f, 0x10, 0x1f, 0x20, 0x3f, 0x40, 0x7f, 0x80, 0xfe, 0xff];
const WIDE_EDGES = [0, 1, 3, 4, 5, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0xffffffff];
const CHANGES_MAX = 5;
const PIECE_MAX = 64;

/**
 * @typedef {(below: number) => number} Pick
 * @typedef {(bytes: Buffer, pick: Pick, from: { dictionary: readonly Uint8Array[]; pool: readonly Buffer[] }) => Buffer} Change
 */

/** @type {Change} */
const flipBit = (bytes, pick) => at(bytes, pick, (octet) => octet ^ (1 << pick(8)));
/** @type {Change} */
const setOctet = (bytes, pick) => at(bytes, pick, () => pick(256));
/** @type {Change} */
const setEdge = (bytes, pick) => at(bytes, pick, () => EDGES[pick(EDGES.length)] ?? 0);
/** @type {Change} */
const step = (bytes, pick) => at(bytes, pick, (octet) => octet + pick(9) - 4);

/** A length, a count or a port, in either byte order. @type {Change} */
function setWide(bytes, pick) {
  const width = pick(2) === 0 ? 2 : 4;
  if (bytes.length < width) return bytes;
  const offset = pick(bytes.length - width + 1);
  const near = bytes.length - offset + pick(9) - 4;
  const value = (pick(3) === 0 ? Math.max(near, 0) : (WIDE_EDGES[pick(WIDE_EDGES.length)] ?? 0)) % 2 ** (8 * width);
  if (pick(2) === 0) bytes.writeUIntBE(value, offset, width);
  else bytes.writeUIntLE(value, offset, width);
  return bytes;
}

/** @type {Change} */
const cut = (bytes, pick) => bytes.subarray(0, pick(bytes.length + 1));

/** @type {Change} */
function remove(bytes, pick) {
  const start = pick(bytes.length + 1);
  return Buffer.concat([bytes.subarray(0, start), bytes.subarray(start + 1 + pick(PIECE_MAX))]);
}

/** @type {Change} */
const grow = (bytes, pick) => insert(bytes, pick, Buffer.alloc(1 + pick(16), EDGES[pick(EDGES.length)]));

/** A piece of its own again, or of another input. @type {Change} */
function splice(bytes, pick, { pool }) {
  const other = pick(2) === 0 ? bytes : (pool[pick(pool.length)] ?? bytes);
  const start = pick(other.length + 1);
  return insert(bytes, pick, other.subarray(start, start + 1 + pick(PIECE_MAX)));
}

/** The head of one, the tail of the other. @type {Change} */
function cross(bytes, pick, { pool }) {
  const other = pool[pick(pool.length)] ?? bytes;
  const middle = pick(bytes.length + 1);
  return Buffer.concat([bytes.subarray(0, middle), other.subarray(Math.min(middle, other.length))]);
}

/** A word of the format, put in or written over what is there. @type {Change} */
function word(bytes, pick, { dictionary }) {
  if (dictionary.length === 0) return setEdge(bytes, pick, { dictionary, pool: [] });
  const chosen = Buffer.from(dictionary[pick(dictionary.length)] ?? []);
  if (pick(2) === 0) return insert(bytes, pick, chosen);
  const start = pick(bytes.length + 1);
  return Buffer.concat([bytes.subarray(0, start), chosen, bytes.subarray(start + chosen.length)]);
}

const CHANGES = [
  flipBit,
  flipBit,
  setOctet,
  setEdge,
  setEdge,
  step,
  setWide,
  setWide,
  cut,
  remove,
  grow,
  splice,
  splice,
  cross,
  word,
  word,
];

/**
 * @param {Buffer} input
 * @param {Pick} pick
 * @param {{ dictionary: readonly Uint8Array[]; pool: readonly Buffer[]; bytesMax: number }} from
 * @returns {Buffer}
 */
export function mutate(input, pick, from) {
  let bytes = Buffer.from(input);
  for (let left = 1 + pick(CHANGES_MAX); left > 0; left -= 1) {
    bytes = Buffer.from((CHANGES[pick(CHANGES.length)] ?? flipBit)(bytes, pick, from).subarray(0, from.bytesMax));
  }
  return bytes;
}

/** @param {Buffer} bytes @param {Pick} pick @param {(octet: number) => number} change */
function at(bytes, pick, change) {
  if (bytes.length === 0) return bytes;
  const offset = pick(bytes.length);
  bytes[offset] = change(bytes[offset] ?? 0);
  return bytes;
}

/** @param {Buffer} bytes @param {Pick} pick @param {Buffer} piece */
function insert(bytes, pick, piece) {
  // What is last is where readers run over the end.
  const offset = pick(4) === 0 ? bytes.length : pick(bytes.length + 1);
  return Buffer.concat([bytes.subarray(0, offset), piece, bytes.subarray(offset)]);
}
