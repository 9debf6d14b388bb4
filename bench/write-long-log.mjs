// `node bench/write-long-log.mjs DATA_DIR EVENTS`: a long log with the two snapshots that a gateway would have. It says
// how far it is. A process of its own: its memory is not part of what is measured.
import { writeLongLog } from "./long-log.mjs";

const BATCH = 5000;
const SAID_EVERY = 1_000_000;

const [, , dataDir = "", count] = process.argv;
const events = Number(count);
await writeLongLog(dataDir, {
  events,
  batch: BATCH,
  // As the daemon would: the newest is at most 10,000 events old.
  snapshots: [events - 3 * BATCH, events - BATCH],
  progress: (written) => {
    if (written % SAID_EVERY === 0) process.stdout.write(`${written} events written\n`);
  },
});
