// What a backend sends and a client knows: pieces that differ by backend and by place.
import { createHash } from "node:crypto";

const REPEATED = 1024;
export const PIECE_OCTETS = 32 * REPEATED;

/** @param {string} backend @param {number} index */
export const piece = (backend, index) =>
  Buffer.concat(Array(REPEATED).fill(createHash("sha256").update(`${backend} ${index}`).digest()));

/** @param {string} backend @param {number} count */
export function digestOf(backend, count) {
  const hash = createHash("sha256");
  for (let index = 0; index < count; index += 1) hash.update(piece(backend, index));
  return hash.digest("hex");
}
