// F3 F5: files cut short at every byte, bits flipped and pages zeroed, in every kind of file of a data directory whose
// daemon is down. Each damaged copy is opened as a start does; what it gives must be what was written, or a refusal that
// names the record.
import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { random } from "../random.mjs";
import { copyAsOwn } from "./own-copy.mjs";
import { ProbePool, spread } from "./probe-pool.mjs";
import { makeStillImages } from "./still-images.mjs";

/** @typedef {{ kind: "cut"; at: number } | { kind: "flip"; at: number; bit: number } | { kind: "zero"; at: number; length: number }} Harm */
/** @typedef {{ image: import("./still-images.mjs").StillImage; file: string; harm: Harm }} Damage */

/** What LevelDB writes for people, an empty lock, and copies that nothing reads. */
const UNREAD = /\/(LOG|LOG\.old|LOCK)$|^evidence\//;
/** Where the newest bytes are: cut at each of them. */
const LAST_FILES = /^log\/(\d+\.log|MANIFEST-\d+|CURRENT)$|^witness$/;
const LAST_IMAGE = "killed";
/** `events verify` reads it all once more: not for each. */
const VERIFY_EVERY = 8;
const PAGE = 512;

/** @typedef {{ seed: number; probes: number; stride: number }} Extent `stride`: of the bytes that the last files are cut at */

/** @param {Extent} extent */
export const corruption = (extent) => ({
  name: "corrupt",
  faults: "F3 F5",
  async *run(/** @type {string} */ folder) {
    const images = await makeStillImages(folder);
    const pool = new ProbePool();
    try {
      let index = 0;
      yield* spread(damages(images, extent), pool.size, async (damage, slot) => {
        index += 1;
        return await probe(pool, slot, damage, join(folder, `probe-${slot}`), index % VERIFY_EVERY === 0);
      });
    } finally {
      pool.close();
    }
  },
});

/** @param {ProbePool} pool @param {number} slot @param {Damage} damage @param {string} directory @param {boolean} verify */
async function probe(pool, slot, { image, file, harm }, directory, verify) {
  copyAsOwn(image.directory, directory);
  inflict(join(directory, file), harm);
  const ask = { directory, reference: image.reference, acknowledged: image.head, verify };
  const verdict = await pool.look(slot, ask);
  rmSync(directory, { recursive: true, force: true });
  const kind = file.replace(/\d{6,}|[0-9a-f]{14,32}(-[0-9a-f]{14})?/g, "*");
  return { row: `corrupt/${kind}`, point: `corrupt/${image.name}/${file}/${JSON.stringify(harm)}`, verdict };
}

/** @param {string} path @param {Harm} harm */
export function inflict(path, harm) {
  if (harm.kind === "cut") return truncateSync(path, harm.at);
  const bytes = readFileSync(path);
  if (harm.kind === "flip") bytes[harm.at] = (bytes[harm.at] ?? 0) ^ (1 << harm.bit);
  else bytes.fill(0, harm.at, Math.min(harm.at + harm.length, bytes.length));
  writeFileSync(path, bytes);
}

/**
 * The last files at every byte, then as many more as are asked for, evenly over all files.
 * @param {readonly import("./still-images.mjs").StillImage[]} images @param {Extent} extent @returns {Generator<Damage>}
 */
function* damages(images, { seed, probes, stride }) {
  const files = images.flatMap((image) => storedIn(image.directory).map((file) => ({ image, ...file })));
  for (const { image, file, bytes } of files) {
    if (image.name !== LAST_IMAGE || !LAST_FILES.test(file)) continue;
    for (let at = 0; at < bytes; at += stride) yield { image, file, harm: { kind: "cut", at } };
  }
  const pick = random(seed);
  for (let index = 0; index < probes; index += 1) {
    const chosen = files[index % files.length];
    if (chosen === undefined) return;
    const { image, file, bytes } = chosen;
    const at = pick(bytes);
    const turn = Math.floor(index / files.length) % 8;
    if (turn === 0) yield { image, file, harm: { kind: "cut", at } };
    else if (turn === 1) yield { image, file, harm: { kind: "zero", at: at - (at % PAGE), length: PAGE } };
    else yield { image, file, harm: { kind: "flip", at, bit: pick(8) } };
  }
}

/** @param {string} directory */
export function storedIn(directory) {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .filter((file) => !UNREAD.test(file))
    .sort()
    .map((file) => ({ file, bytes: readFileSync(join(directory, file)).length }))
    .filter(({ bytes }) => bytes > 0);
}
