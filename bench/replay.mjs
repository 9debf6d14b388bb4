// `node bench/replay.mjs DATA_DIR`: how fast a log is read, verified and folded, and folded alone. One JSON line.
// A process of its own, as a replay is: no warm code, no heap of others.
import { median } from "./statistics.mjs";

const PASSES = 3;
/** @param {string} path */
const built = (path) => import(new URL(`../dist/${path}`, import.meta.url).href);
const { copyForReading } = await built("events/leveldb/log-copy.js");
const { foldInto, replay } = await built("reducers/fold.js");
const { initialState } = await built("reducers/state.js");

const copy = await copyForReading(process.argv[2]);
const readAndFold = [];
const foldAlone = [];
for (let pass = 0; pass < PASSES; pass += 1) {
  readAndFold.push(await secondsOf(() => replay(copy.read(0), initialState())));
  /** @type {unknown[]} */
  const read = [];
  for await (const record of copy.read(0)) read.push(record);
  foldAlone.push(
    await secondsOf(async () => {
      const state = initialState();
      for (const record of read) foldInto(state, record);
    }),
  );
}
const records = copy.head.seq;
await copy.close();
process.stdout.write(
  `${JSON.stringify({ records, perSecond: records / median(readAndFold), foldPerSecond: records / median(foldAlone) })}\n`,
);

/** @param {() => Promise<unknown>} work */
async function secondsOf(work) {
  const before = performance.now();
  await work();
  return (performance.now() - before) / 1000;
}
