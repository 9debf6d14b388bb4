// F4: what a power cut leaves. One life of the daemon is traced; from its writes and fsyncs the directory is built as it
// may be found after each of them: what a file was given since its last fsync is gone, half there, or zeros, and names
// since the last fsync of anything may be missing. Whatever was acknowledged by then must be there.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { FAULT_ROUND } from "./images.mjs";
import { Lane } from "./lane.mjs";
import { adoptWitness } from "./own-copy.mjs";
import { ProbePool, spread } from "./probe-pool.mjs";
import { referTo } from "./still-images.mjs";
import { readTrace, underTrace } from "./write-trace.mjs";

/** @typedef {import("./write-trace.mjs").Op} Op */
/** What becomes of bytes that no fsync covered. */
const FATES = /** @type {const} */ (["lost", "half", "zeros", "kept"]);
/** @typedef {(typeof FATES)[number]} Fate */
const VERIFY_EVERY = 8;
/** A restart in the middle: the second open recovers the first one's log. */
const LIVES = 2;

/** @param {{ stride: number }} extent `stride`: of the operations after which the power goes */
export const powerLoss = ({ stride }) => ({
  name: "power",
  faults: "F4",
  async *run(/** @type {string} */ folder) {
    const { ops, reference, head } = await trace(join(folder, "power"));
    const pool = new ProbePool();
    try {
      let index = 0;
      yield* spread(states(ops, stride), pool.size, async ({ after, fate, names }, slot) => {
        index += 1;
        const directory = join(folder, `state-${slot}`);
        const acknowledged = build(ops.slice(0, after), fate, names, directory);
        const verdict = await pool.look(slot, {
          directory,
          reference,
          acknowledged: Math.min(acknowledged, head),
          verify: index % VERIFY_EVERY === 0,
        });
        rmSync(directory, { recursive: true, force: true });
        // Unlike damage: every byte that a promise rests on was synced before it was made.
        if (verdict.outcome === "safe mode") verdict.faults.push("safe mode after a mere loss of power");
        return {
          row: `power/${fate}`,
          point: `power/after op ${after} of ${ops.length}/${fate}/names ${names}`,
          verdict,
        };
      });
    } finally {
      pool.close();
    }
  },
});

/** @param {string} folder */
async function trace(folder) {
  const lane = await Lane.open();
  try {
    await lane.begin(null);
    /** @type {Op[]} */
    const ops = [];
    for (let life = 0; life < LIVES; life += 1) {
      await lane.start({ prefix: underTrace(lane.traceFile) });
      await lane.load(FAULT_ROUND + life);
      await (life === LIVES - 1 ? lane.stop() : lane.gateway.kill());
      ops.push(...readTrace(lane.traceFile, lane.dataDir));
    }
    mkdirSync(folder, { recursive: true });
    lane.save(folder);
    const image = { name: "power", directory: join(folder, "data") };
    adoptWitness(image.directory);
    const { reference, head } = await referTo(folder, image, {});
    return { ops, reference, head };
  } finally {
    await lane.close();
  }
}

/** @param {readonly Op[]} ops @param {number} stride */
function* states(ops, stride) {
  for (let after = 1; after <= ops.length; after += stride) {
    for (const fate of FATES) {
      yield { after, fate, names: /** @type {const} */ ("kept") };
      yield { after, fate, names: /** @type {const} */ ("lost") };
    }
  }
}

/** @typedef {{ synced: Buffer; now: Buffer }} File */

/**
 * Writes the state and gives the last record that anyone may have been told of.
 * @param {readonly Op[]} ops @param {Fate} fate @param {"kept" | "lost"} names @param {string} directory
 */
export function build(ops, fate, names, directory) {
  /** @type {Map<string, File>} by name, as the running system sees it */
  let files = new Map();
  /** As the disk has it: any fsync commits the file system's journal, and with it every change of names before it. */
  let named = new Map(files);
  let acknowledged = 0;
  for (const op of ops) {
    if (op.kind === "sync") {
      const file = files.get(op.file);
      if (file !== undefined) file.synced = file.now;
      named = new Map(files);
    } else if (op.kind === "rename") {
      files = new Map([...files].filter(([name]) => name !== op.to).map(([name, file]) => [renamed(name, op), file]));
    } else if (op.kind === "unlink") {
      files = new Map(files);
      files.delete(op.file);
    } else if (op.kind === "create") {
      const file = files.get(op.file);
      files = new Map(files);
      // Cut to nothing, which is lost like any other write until it is synced.
      files.set(op.file, { synced: file?.synced ?? Buffer.alloc(0), now: Buffer.alloc(0) });
    } else {
      write(files, op);
      acknowledged = Math.max(acknowledged, op.file === "witness" ? seqIn(op.bytes) : 0);
    }
  }
  mkdirSync(directory, { recursive: true });
  for (const [name, file] of names === "kept" ? files : named) {
    const path = join(directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, after(file, fate));
  }
  adoptWitness(directory);
  return acknowledged;
}

/** A directory takes what is in it along. @param {string} name @param {Extract<Op, { kind: "rename" }>} op */
function renamed(name, { file, to }) {
  return name === file || name.startsWith(`${file}/`) ? to + name.slice(file.length) : name;
}

/** @param {Map<string, File>} files @param {Extract<Op, { kind: "write" }>} op */
function write(files, { file: name, at, bytes }) {
  const file = files.get(name) ?? { synced: Buffer.alloc(0), now: Buffer.alloc(0) };
  files.set(name, file);
  const start = at ?? file.now.length;
  const now = Buffer.alloc(Math.max(file.now.length, start + bytes.length));
  file.now.copy(now);
  bytes.copy(now, start);
  file.now = now;
}

/** @param {File} file @param {Fate} fate */
function after({ synced, now }, fate) {
  if (fate === "kept" || synced === now) return now;
  if (fate === "lost") return synced;
  if (fate === "half") return half(synced, now);
  // The length is on the disk, the bytes are not: what was there before, then zeros.
  const zeros = Buffer.alloc(now.length);
  synced.copy(zeros);
  return zeros;
}

/** The first half of what is new. @param {Buffer} synced @param {Buffer} now */
function half(synced, now) {
  if (now.length <= synced.length) return synced;
  return now.subarray(0, synced.length + Math.floor((now.length - synced.length) / 2));
}

/** An acknowledgement follows its mark in the head witness. @param {Buffer} bytes */
const seqIn = (bytes) => Number(/^portreeve-witness-1 \d+ (\d+) /.exec(bytes.toString("latin1"))?.[1] ?? 0);
