// The process that level-log.kill.test.ts kills: appends for ever and says on stdout what was acknowledged.
import { writeSync } from "node:fs";

const [sources, dataDir] = process.argv.slice(2);
const { openLevelLog } = await import(`${sources}/events/leveldb/level-log.js`);
const { event } = await import(`${sources}/events/index.js`);

/** @type {import("../../../../src/events/log.ts").EventLog} */
const log = await openLevelLog(dataDir);
for (let turn = 0; ; turn += 1) {
  const records = Array.from({ length: 1 + (turn % 5) }, (_, index) => ({
    at: 1_714_521_600_000 + turn,
    source: "kernel",
    requestId: `turn-${turn}-${index}`,
    causedBy: null,
    event: event("interface.lost", { name: `lan${turn % 100}` }),
  }));
  const answers = turn % 3 === 0 ? [{ requestId: `answer-${log.head.seq}`, answer: turn }] : [];
  const made = await log.append({ expectedHead: log.head.seq, records, answers });
  // At once and in one write: what reaches the pipe was acknowledged before the kill.
  writeSync(1, made.map(({ seq, hash }) => `${seq} ${hash}\n`).join(""));
}
