// Port requests: new ones beside the peer, with many present, and renewals.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { writeLongLog } from "./long-log.mjs";
import { memoryOf } from "./process-memory.mjs";
import { median } from "./statistics.mjs";
import { startSubject } from "./subject.mjs";

const REPLAY = fileURLToPath(new URL("replay.mjs", import.meta.url));
const NEW_MAPPINGS = 1000;
const RENEW_MS = 5000;

/** V8 has compiled what is hot after some thousand requests; a gateway runs for months. The peer is compiled already. */
const WARM_UP_ROUNDS = 3;

/**
 * New mappings 0 → 1,000, ours and the peer's in turn; ours also as the first thing after a start.
 * @param {number} pairs
 * @param {(text: string) => void} progress
 */
export async function compareNewMappings(pairs, progress) {
  /** @type {Record<"portreeve" | "miniupnpd", import("../test/lab/map-load.mjs").Phase[]>} */
  const phases = { portreeve: [], miniupnpd: [] };
  /** @type {import("../test/lab/map-load.mjs").Phase[]} */
  const afterStart = [];
  for (let pair = 0; pair < pairs; pair += 1) {
    for (const kind of /** @type {const} */ (["portreeve", "miniupnpd"])) {
      const subject = await startSubject(kind);
      try {
        for (let round = 0; kind === "portreeve" && round < WARM_UP_ROUNDS; round += 1) {
          const { mapping } = await subject.map(NEW_MAPPINGS, { release: true });
          if (round === 0) afterStart.push(mapping);
        }
        const { mapping } = await subject.map(NEW_MAPPINGS);
        phases[kind].push(mapping);
        progress(`pair ${pair + 1} of ${pairs}: ${kind} ${mapping.perSecond.toFixed(0)}/s`);
      } finally {
        await subject.close();
      }
    }
  }
  return {
    portreeve: medians(phases.portreeve),
    afterStart: medians(afterStart),
    miniupnpd: medians(phases.miniupnpd),
  };
}

/** @param {import("../test/lab/map-load.mjs").Phase[]} phases */
function medians(phases) {
  return {
    perSecond: median(phases.map(({ perSecond }) => perSecond)),
    p50: median(phases.map(({ p50 }) => p50)),
    p99: median(phases.map(({ p99 }) => p99)),
  };
}

/**
 * What many mappings cost: the rate of 1,000 more at each size, memory, renewals and what those write, replay, boot.
 * @param {number} base new mappings a second from none, as measured beside the peer
 * @param {readonly number[]} sizes ascending
 * @param {(text: string) => void} progress
 */
export async function measureAtScale(base, sizes, progress) {
  const subject = await startSubject("portreeve");
  const { gateway } = subject.server;
  if (gateway === null) throw new Error("measures only ours");
  try {
    const idle = memoryOf(subject.server.pid);
    let present = 0;
    const atSizes = [];
    for (const size of sizes) {
      progress(`filling to ${size} mappings`);
      await subject.map(size - present, { inFlight: 32 });
      const before = await logHead(gateway);
      const { mapping, renewing } = await subject.map(NEW_MAPPINGS, { renewals: RENEW_MS });
      present = size + NEW_MAPPINGS;
      const memory = memoryOf(subject.server.pid);
      const eventsOfRenewals = (await logHead(gateway)) - before - NEW_MAPPINGS;
      atSizes.push({ size, mapping, share: mapping.perSecond / base, renewing, eventsOfRenewals, memory });
      progress(`at ${size}: ${mapping.perSecond.toFixed(0)} new/s, ${renewing?.perSecond.toFixed(0)} renewals/s`);
    }
    const { tookMs: stopMs } = await gateway.stop();
    const replay = await timeReplay();
    const before = performance.now();
    await gateway.start();
    const bootSeconds = (performance.now() - before) / 1000;
    return { idle, atSizes, replay, bootSeconds, stopSeconds: stopMs / 1000, present };
  } finally {
    await subject.close();
  }
}

/** @param {import("../test/lab/gateway.mjs").Gateway} gateway */
async function logHead(gateway) {
  const { body } = await gateway.get("/metrics");
  return Number(/^portreeve_log_head_seq(?:\{\})? (\d+)/m.exec(body)?.[1] ?? Number.NaN);
}

/** @returns {Promise<{ records: number; perSecond: number; foldPerSecond: number }>} */
async function timeReplay() {
  const dataDir = mkdtempSync(join(tmpdir(), "portreeve-long-log-"));
  try {
    await writeLongLog(dataDir);
    const { stdout } = await promisify(execFile)(process.execPath, [REPLAY, dataDir]);
    return JSON.parse(stdout);
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}
