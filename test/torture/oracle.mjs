// After a fault: is everything there that anyone was told of? Either it is, or the daemon is in safe mode and names the
// record from which on it is not. Each check gives what is wrong as sentences; none means it held.
import { epochIsValid } from "../lab/programs/pcp-wire.mjs";
import { keyOf } from "./promises.mjs";

/** Rounding of instants to seconds on the wire, and of the client's clock. */
const DEADLINE_SLACK_MS = 1000;
/** What a safe mode may say of a log whose bytes were taken away. */
export const NAMED = new Set(["LOG_CORRUPT", "LOG_RESTORED"]);
/** For the first passes and the answers of a daemon that has just come up. */
const SETTLE_TRIES = 100;
const SETTLE_MS = 50;

/**
 * @typedef {object} Library what `dist/` offers, so that most looks cost no process
 * @property {typeof import("../../src/events/leveldb/verify.ts").verifyLog} verifyLog
 * @property {typeof import("../../src/daemon/offline.ts").replayDataDir} replayDataDir
 */
/** @typedef {{ outcome: "whole" | "safe mode"; faults: string[] }} Verdict */

/** @returns {Promise<Library>} */
export async function loadLibrary() {
  const from = (/** @type {string} */ path) => import(new URL(`../../dist/${path}.js`, import.meta.url).href);
  const [{ verifyLog }, { replayDataDir }] = await Promise.all([from("events/leveldb/verify"), from("daemon/offline")]);
  return { verifyLog, replayDataDir };
}

/**
 * Restarts the daemon after a fault and compares. `damaged`: the fault took bytes that had been on the disk, so safe
 * mode is a right answer.
 * @param {import("./lane.mjs").Lane} lane @param {Library} library @param {{ damaged?: boolean }} [options]
 * @returns {Promise<Verdict>}
 */
export async function judge(lane, library, { damaged = false } = {}) {
  const kernelBefore = await lane.kernel();
  const { up, line } = await lane.start();
  if (!up || line === null) return failed(`the daemon does not start: ${lane.gateway.log.slice(-3).join(" ")}`);
  if (line.msg === "safe-mode") {
    const faults = damaged ? [] : ["safe mode, although nothing on the disk was damaged"];
    if (!NAMED.has(String(line.code)) || typeof line.seq !== "number")
      faults.push(`safe mode names no record: ${JSON.stringify(line)}`);
    faults.push(...different("the data plane changed in safe mode", kernelBefore, await lane.kernel()));
    const verdict = await library.verifyLog(lane.dataDir);
    if (verdict.ok && verdict.witnessAhead === null)
      faults.push("the daemon is in safe mode, and `events verify` finds nothing");
    await lane.gateway.kill();
    return { outcome: "safe mode", faults: faults.map((fault) => `${fault} (${String(line.reason)})`) };
  }
  const faults = await settled(() => promisesBroken(lane));
  faults.push(...(await settled(() => kernelDiffers(lane))));
  faults.push(...(await answersForgotten(lane)), ...(await epochBroken(lane)));
  const { document } = await lane.http.get("/api/v1/state");
  await lane.gateway.kill();
  faults.push(...(await logBroken(lane, library, document)));
  return { outcome: "whole", faults };
}

/** @param {string} fault @returns {Verdict} */
const failed = (fault) => ({ outcome: "whole", faults: [fault] });

/** What is still wrong once there was time for it to come right. @param {() => Promise<string[]>} check */
export async function settled(check) {
  let faults = await check();
  for (let attempt = 0; attempt < SETTLE_TRIES && faults.length > 0; attempt += 1) {
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    faults = await check();
  }
  return faults;
}

/** @param {import("./lane.mjs").Lane} lane */
async function promisesBroken({ http, promises }) {
  const { mapped, ended } = promises.read();
  /** @type {import("../lab/gateway.mjs").Port[]} */
  const ports = (await http.get("/api/v1/ports")).document;
  const found = new Map(ports.map((port) => [portKey(port), port]));
  const faults = mapped.flatMap((promise) => {
    const port = found.get(keyOf(promise));
    if (port === undefined) return [`lost: ${JSON.stringify(promise)}`];
    if (port.external.port !== promise.externalPort)
      return [`moved: ${JSON.stringify(promise)} to ${port.external.port}`];
    const ends = port.expiresAt === null ? Number.POSITIVE_INFINITY : Date.parse(port.expiresAt);
    const promised = promise.endsAt ?? Number.POSITIVE_INFINITY;
    return ends >= promised - DEADLINE_SLACK_MS ? [] : [`ends early: ${JSON.stringify(promise)} at ${port.expiresAt}`];
  });
  return [...faults, ...[...ended].filter((key) => found.has(key)).map((key) => `back from its end: ${key}`)];
}

/** @param {import("../lab/gateway.mjs").Port} port */
const portKey = ({ protocol, internal }) => keyOf({ address: internal.address, protocol, internalPort: internal.port });

/** @param {import("./lane.mjs").Lane} lane */
export async function kernelDiffers(lane) {
  /** @type {import("../lab/gateway.mjs").Port[]} */
  const ports = (await lane.http.get("/api/v1/ports")).document;
  const wanted = ports
    .filter(({ enabled }) => enabled)
    .map(({ protocol, external, internal }) => `${protocol} ${external.port} ${internal.address} ${internal.port}`)
    .sort();
  return different("the kernel has not what the state wants", wanted, await lane.kernel());
}

/** @param {string} what @param {readonly string[]} expected @param {readonly string[]} found */
export function different(what, expected, found) {
  const missing = expected.filter((each) => !found.includes(each));
  const surplus = found.filter((each) => !expected.includes(each));
  return missing.length + surplus.length === 0
    ? []
    : [`${what}: missing [${missing.join(", ")}], surplus [${surplus.join(", ")}]`];
}

/** A request that is repeated under its Idempotency-Key gets the answer it got. @param {import("./lane.mjs").Lane} lane */
async function answersForgotten({ http, promises }) {
  const { answered } = promises.read();
  if (answered === null) return [];
  const { key, body, seq } = answered;
  const again = await http.post("/api/v1/ports", body, { "idempotency-key": key });
  return again.document?.seq === seq ? [] : [`answer ${key} was ${seq}, is ${JSON.stringify(again.document)}`];
}

/** Asks for what it holds already: a renewal, which appends nothing. @param {import("./lane.mjs").Lane} lane */
async function epochBroken({ client, promises }) {
  const { mapped, epoch } = promises.read();
  const held = mapped.find(({ by }) => by === "natpmp");
  if (held === undefined || epoch === null) return [];
  const { protocol, internalPort, externalPort } = held;
  const reply = await client.natPmpMap({ protocol, internalPort, suggestedPort: externalPort, lifetime: 7200 });
  if (reply === null) return ["no answer to a renewal"];
  const faults =
    reply.externalPort === externalPort ? [] : [`a renewal moves ${externalPort} to ${reply.externalPort}`];
  const now = { epoch: reply.epoch, at: performance.now() / 1000 };
  if (!epochIsValid(epoch, now)) faults.push(`epoch went from ${JSON.stringify(epoch)} to ${JSON.stringify(now)}`);
  return faults;
}

/**
 * `events verify` is clean, and the records fold to the state that ran.
 * @param {import("./lane.mjs").Lane} lane @param {Library} library @param {{ seq: number; hash: string }} running
 */
export async function logBroken({ dataDir }, library, running) {
  const { ok, fault, witnessAhead } = await library.verifyLog(dataDir);
  if (!ok) return [`\`events verify\` finds ${fault?.message}`];
  const faults = witnessAhead === null ? [] : [`the witness is ahead, at ${witnessAhead}`];
  const replayed = await library.replayDataDir(dataDir, running.seq);
  if (replayed.hash !== running.hash)
    faults.push(`replay gives ${replayed.hash} at ${running.seq}, the state was ${running.hash}`);
  return [...faults, ...replayed.faults];
}
