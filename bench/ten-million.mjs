// A log of ten million events: what a start, the check beside the work, and questions about the past cost. One state of
// 10,000 mappings all the time; only the past grows.
import { execFile, spawn } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { PROGRAM } from "../test/lab/gateway.mjs";
import { memoryOf } from "./process-memory.mjs";
import { median } from "./statistics.mjs";
import { startSubject } from "./subject.mjs";

const WRITER = fileURLToPath(new URL("write-long-log.mjs", import.meta.url));
/** Mappings of real clients beside those in the log, whose renewals are timed. */
const RENEWED = 1000;
const RENEW_MS = 20_000;
/** Of the events; the third million of ten. */
const HOLE_AT = 0.3;
const SAMPLE_MS = 250;
const STARTS = 3;

/** @typedef {Awaited<ReturnType<typeof measureTenMillion>>} TenMillion */

/**
 * @param {number} events
 * @param {(text: string) => void} progress
 */
export async function measureTenMillion(events, progress) {
  const subject = await startSubject("portreeve", {
    config: { log: { level: "warn", retain: { events: 4 * events, days: 3650 } } },
    prepare: (dataDir) => writeLog(dataDir, events, progress),
  });
  const { gateway } = subject.server;
  if (gateway === null) throw new Error("measures only ours");
  try {
    const { dataDir } = gateway;
    const bytes = bytesIn(join(dataDir, "log"));
    progress(`${(bytes / 1e6).toFixed(0)} MB in ${readdirSync(join(dataDir, "log")).length} files`);
    const ready = { clean: await startAgain(gateway, "stop"), killed: await startAgain(gateway, "kill") };
    progress(`ready after ${ready.clean.join(", ")} s, and when killed before ${ready.killed.join(", ")} s`);
    const evidence = bytesIn(join(dataDir, "evidence"));
    const checking = await watchVerification(subject, progress);
    const questions = await askOfThePast(subject, events, progress);
    await gateway.stop();
    const hole = await findHole(gateway, Math.floor(events * HOLE_AT), progress);
    await gateway.stop();
    const salvage = await timeSalvage(gateway, progress);
    return { events, bytes, ready, evidence, checking, questions, hole, salvage };
  } finally {
    await subject.close();
  }
}

/** @param {string} dataDir @param {number} events @param {(text: string) => void} progress @returns {Promise<void>} */
function writeLog(dataDir, events, progress) {
  const writer = spawn(process.execPath, [WRITER, dataDir, String(events)], { stdio: ["ignore", "pipe", "inherit"] });
  writer.stdout.setEncoding("utf8").on("data", (text) => progress(text.trim()));
  return new Promise((resolve, reject) => {
    writer.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`the writer ended with ${code}`))));
  });
}

/** @param {string} directory */
function bytesIn(directory) {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
  return files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
}

/** Seconds to ready. @param {import("../test/lab/gateway.mjs").Gateway} gateway @param {"stop" | "kill"} how */
async function startAgain(gateway, how) {
  const seconds = [];
  for (let start = 0; start < STARTS; start += 1) {
    // What the last start began beside the work is over: a kill then is one in the middle of a gateway's life.
    if (how === "kill") await untilScanned(gateway);
    await gateway[how]();
    seconds.push(await timed(() => gateway.start()));
  }
  return seconds;
}

/** @param {() => Promise<unknown>} work @returns {Promise<number>} seconds */
async function timed(work) {
  const before = performance.now();
  await work();
  return (performance.now() - before) / 1000;
}

/**
 * @param {import("../test/lab/gateway.mjs").Gateway} gateway
 * @returns {Promise<{ state: string; through: number; message: string }>}
 */
async function verificationOf(gateway) {
  for (;;) {
    try {
      return JSON.parse((await gateway.get("/api/v1/status")).body).log.verification;
    } catch (cause) {
      // A connection that a busy machine left idle is closed; a daemon that has ended is another matter.
      if (!gateway.running) throw new Error(`the daemon has ended\n${gateway.log.slice(-15).join("\n")}`, { cause });
      await sleep(SAMPLE_MS);
    }
  }
}

/** @param {import("../test/lab/gateway.mjs").Gateway} gateway */
async function untilScanned(gateway) {
  while ((await verificationOf(gateway)).through === 0) await sleep(SAMPLE_MS);
}

/** Its highest memory while something goes on. @template T @param {number} pid @param {Promise<T>} work */
async function watchMemory(pid, work) {
  const going = { on: true };
  const done = work.finally(() => {
    going.on = false;
  });
  let highest = 0;
  while (going.on) {
    highest = Math.max(highest, memoryOf(pid).pssMb);
    await Promise.race([done.catch(() => {}), sleep(SAMPLE_MS)]);
  }
  return { result: await done, pssMb: highest };
}

/** @param {import("./subject.mjs").Subject} subject @param {(text: string) => void} progress */
async function watchVerification(subject, progress) {
  const { gateway } = subject.server;
  if (gateway === null) throw new Error("measures only ours");
  await gateway.stop();
  await gateway.start();
  const began = performance.now();
  const atReady = memoryOf(gateway.pid).pssMb;
  const { result: load, pssMb: underLoad } = await watchMemory(
    gateway.pid,
    subject.map(RENEWED, { renewals: RENEW_MS }),
  );
  const first = await verificationOf(gateway);
  const secondsOfLoad = (performance.now() - began) / 1000;
  progress(`under load: ${JSON.stringify(load.renewing)}; ${first.message}`);
  const { pssMb: alone } = await watchMemory(gateway.pid, untilVerified(gateway));
  const last = await verificationOf(gateway);
  const seconds = (performance.now() - began) / 1000;
  const { pssMb: after } = memoryOf(gateway.pid);
  progress(`${last.state} after ${seconds.toFixed(0)} s: ${last.message}`);
  const quiet = await subject.map(1, { renewals: RENEW_MS / 2, inFlight: 16 });
  return {
    state: last.state,
    seconds,
    perSecond: last.through / seconds,
    perSecondUnderLoad: first.through / secondsOfLoad,
    renewing: load.renewing,
    mapping: load.mapping,
    quiet: quiet.renewing,
    pssMb: { atReady, underLoad, alone, after },
  };
}

/** @param {import("../test/lab/gateway.mjs").Gateway} gateway */
async function untilVerified(gateway) {
  while ((await verificationOf(gateway)).state === "running") await sleep(SAMPLE_MS);
}

/** What each costs, and what renewals cost beside it. @param {import("./subject.mjs").Subject} subject @param {number} events @param {(text: string) => void} progress */
async function askOfThePast(subject, events, progress) {
  const { gateway } = subject.server;
  if (gateway === null) throw new Error("measures only ours");
  const port = (await gateway.ports()).find(({ source }) => source === "pcp");
  if (port === undefined) throw new Error("there is no port to ask about");
  const middle = String(Math.floor(events / 2));
  /** @type {Record<string, string[]>} */
  const asked = {
    "events list --after": ["events", "list", "--after", middle, "--limit", "100"],
    "events list, of a rare type": ["events", "list", "--type", "wan", "--limit", "100"],
    "events list, of a port": ["events", "list", "--port", port.id, "--limit", "100"],
    why: ["why", "port", port.id],
    "state show --at": ["state", "show", "--at", middle],
    "state diff": ["state", "diff", "--from", String(events)],
  };
  /** @type {Record<string, { seconds: number; pssMb: number; code: number; renewingP99: number | null }>} */
  const costs = {};
  for (const [name, args] of Object.entries(asked)) {
    const load = subject.map(1, { renewals: 3000 });
    let answer = { code: 0, stdout: "", stderr: "" };
    const { result: seconds, pssMb } = await watchMemory(
      gateway.pid,
      timed(async () => {
        answer = await gateway.cli(...args, "--json");
      }),
    );
    const renewingP99 = (await load).renewing?.p99 ?? null;
    costs[name] = { seconds, pssMb, code: answer.code, renewingP99 };
    progress(`${name}: ${JSON.stringify(costs[name])} ${answer.code === 0 ? "" : answer.stderr}`);
  }
  return costs;
}

/**
 * A record goes missing while nobody looks: the start trusts its snapshot, and what checks beside it must find it.
 * @param {import("../test/lab/gateway.mjs").Gateway} gateway
 * @param {number} hole
 * @param {(text: string) => void} progress
 */
async function findHole(gateway, hole, progress) {
  const { openLevelStorage } = await import(new URL("../dist/events/leveldb/storage.js", import.meta.url).href);
  const { eventKey } = await import(new URL("../dist/events/leveldb/keys.js", import.meta.url).href);
  const storage = await openLevelStorage(join(gateway.dataDir, "log"));
  await storage.write([{ type: "del", key: eventKey(hole) }]);
  await storage.close();
  const ready = await timed(() => gateway.start());
  const seconds = await timed(() => untilVerified(gateway));
  const { mode, fault } = JSON.parse((await gateway.get("/api/v1/status")).body);
  progress(`after ${seconds.toFixed(0)} s ${mode}: ${JSON.stringify(fault)}`);
  if (mode !== "safe" || fault?.seq !== hole) throw new Error(`the hole at ${hole} was not found`);
  return { ready, seconds, code: fault.code, seq: fault.seq };
}

/** @param {import("../test/lab/gateway.mjs").Gateway} gateway @param {(text: string) => void} progress */
async function timeSalvage(gateway, progress) {
  const before = performance.now();
  const child = execFile(process.execPath, [
    PROGRAM,
    "events",
    "salvage",
    "--data-dir",
    gateway.dataDir,
    "--yes",
    "--json",
  ]);
  const done = new Promise((resolve) => child.once("exit", resolve));
  let stdout = "";
  child.stdout?.on("data", (chunk) => {
    stdout += chunk;
  });
  const { result: code, pssMb } = await watchMemory(child.pid ?? 0, done);
  const seconds = (performance.now() - before) / 1000;
  progress(`salvaged in ${seconds.toFixed(0)} s with ${pssMb.toFixed(0)} MB: ${code} ${stdout}`);
  return { seconds, pssMb, code };
}

/** @param {TenMillion} measured @param {(value: number) => string} n @returns {string[][]} */
export function tenMillionRows({ events, bytes, ready, evidence, checking, questions, hole, salvage }, n) {
  const { pssMb, renewing, quiet } = checking;
  return [
    [`a log of ${n(events)} events, MB`, n(bytes / 1e6)],
    ["ready after a stop / after a kill, s (medians)", `${n(median(ready.clean))} / ${n(median(ready.killed))}`],
    ["evidence kept of the kills, MB", n(evidence / 1e6)],
    ["memory at ready: PSS, MB", n(pssMb.atReady)],
    ["  while it is verified, under load / alone", `${n(pssMb.underLoad)} / ${n(pssMb.alone)}`],
    ["  after that", n(pssMb.after)],
    ["verified, events/s, alone / under load", `${n(checking.perSecond)} / ${n(checking.perSecondUnderLoad)}`],
    ["renewals while it is verified, /s", n(renewing?.perSecond ?? 0)],
    ["  p50 / p99, ms", `${n(renewing?.p50 ?? 0)} / ${n(renewing?.p99 ?? 0)}`],
    ["  when nothing is verified, p50 / p99, ms", `${n(quiet?.p50 ?? 0)} / ${n(quiet?.p99 ?? 0)}`],
    [`record ${n(hole.seq)} is missing: ready / found, s`, `${n(hole.ready)} / ${n(hole.seconds)}`],
    ["salvaged, s / highest PSS, MB", `${n(salvage.seconds)} / ${n(salvage.pssMb)}`],
    ...Object.entries(questions).map(([name, { seconds, pssMb: highest, renewingP99 }]) => [
      `${name}: s / highest PSS, MB / renewals' p99, ms`,
      `${n(seconds)} / ${n(highest)} / ${n(renewingP99 ?? 0)}`,
    ]),
  ];
}
