// Many PCP clients at once, each with an address of its own: a closed loop of MAP requests with so many in flight.
// Reads one JSON line (`Load`), ends when all are answered or its standard input closes, and prints one JSON line.
// With `witness`, each SUCCESS is appended to that file before the next request leaves: what a client may rely on.
import { createSocket } from "node:dgram";
import { openSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { decodeReply, encodeMap, epochIsValid, newNonce, PORT } from "./pcp-wire.mjs";

/**
 * @typedef {object} Load
 * @property {string} server
 * @property {string[]} addresses
 * @property {"tcp" | "udp"} protocol
 * @property {number} firstInternalPort the n-th mapping of an address has this + n
 * @property {number} firstSuggestedPort the n-th request suggests this + n
 * @property {number} [skip] requests counted as made before: where the numbering goes on
 * @property {number} count
 * @property {number} inFlight
 * @property {number} lifetime
 * @property {number} [renewals] asked after all are mapped, round and round, for this long in ms
 * @property {boolean} [release] all mappings at the end
 * @property {number} [perSecond] paces the requests; as fast as answers come if left out
 * @property {number} [resendMs] the first retransmission's delay; it doubles. Default 250
 * @property {number} [resendMaxMs] Default 1000, or `resendMs` if that is more
 * @property {string} [witness]
 */

/** @type {Load} */
const load = JSON.parse(await firstLine());
const witness = load.witness === undefined ? null : openSync(load.witness, "a");
/** @type {Map<string, (reply: import("./pcp-wire.mjs").Reply) => void>} by nonce */
const waiting = new Map();
/** @type {{ address: string; nonce: string; internalPort: number; suggestedPort: number; externalPort: number; lifetime: number }[]} */
const mapped = [];
/** @type {Record<string, number>} */
const refusals = {};
/** @type {string[]} */
const epochFaults = [];
/** @type {{ epoch: number; at: number } | null} */
let lastEpoch = null;
let resent = 0;
let stopping = false;

const sockets = new Map();
for (const address of load.addresses) sockets.set(address, await openSocket(address));

const mapping = await phase(load.count, (index) => {
  const number = (load.skip ?? 0) + index;
  const address = load.addresses[number % load.addresses.length] ?? "";
  return {
    address,
    nonce: newNonce(),
    internalPort: load.firstInternalPort + Math.floor(number / load.addresses.length),
    suggestedPort: load.firstSuggestedPort + number,
    externalPort: 0,
    lifetime: load.lifetime,
  };
});
let renewing = null;
if (load.renewals !== undefined && mapped.length > 0) {
  const until = performance.now() + load.renewals;
  const known = [...mapped];
  renewing = await phase(Number.POSITIVE_INFINITY, (index) => {
    if (performance.now() >= until) return null;
    // One whose last answer is still to come is not asked again: its nonce stands for one answer.
    const turn = Array.from({ length: load.inFlight }, (_, ahead) => known[(index + ahead) % known.length]);
    return turn.find((each) => each !== undefined && !waiting.has(each.nonce)) ?? null;
  });
}
if (load.release === true) {
  const ending = mapped.map((each) => ({ ...each, lifetime: 0 }));
  await phase(ending.length, (index) => ending[index] ?? null);
}
process.stdout.write(`${JSON.stringify({ mapping, renewing, refusals, resent, epochFaults })}\n`);
process.exit(0);

/**
 * @param {number} count
 * @param {(index: number) => typeof mapped[number] | null} requestOf null: no more
 */
async function phase(count, requestOf) {
  let next = 0;
  /** @type {number[]} */
  const latencies = [];
  const started = performance.now();
  const loop = async () => {
    while (!stopping && next < count) {
      const request = requestOf(next);
      if (request === null) return;
      next += 1;
      if (load.perSecond !== undefined) await until(started + (next / load.perSecond) * 1000);
      const before = performance.now();
      const sentAt = Date.now();
      const reply = await ask(request);
      if (reply === null) return;
      latencies.push(performance.now() - before);
      note(request, reply, sentAt);
    }
  };
  await Promise.all(Array.from({ length: load.inFlight }, loop));
  const seconds = (performance.now() - started) / 1000;
  latencies.sort((a, b) => a - b);
  return {
    answered: latencies.length,
    seconds,
    perSecond: latencies.length / seconds,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    max: latencies.at(-1) ?? 0,
    late: latencies.filter((each) => each > 1000).length,
  };
}

/** @param {typeof mapped[number]} request @param {import("./pcp-wire.mjs").Reply} reply @param {number} sentAt */
function note(request, reply, sentAt) {
  const epoch = { epoch: reply.epoch, at: performance.now() / 1000 };
  if (!epochIsValid(lastEpoch, epoch)) epochFaults.push(JSON.stringify({ before: lastEpoch, now: epoch }));
  lastEpoch = epoch;
  if (reply.result !== 0) {
    refusals[reply.result] = (refusals[reply.result] ?? 0) + 1;
    return;
  }
  const { externalPort = 0 } = reply;
  mapped.push({ ...request, externalPort });
  if (witness === null) return;
  const line = {
    ...request,
    externalPort,
    protocol: load.protocol,
    lifetime: reply.lifetime,
    epoch: reply.epoch,
    sentAt,
  };
  writeSync(witness, `${JSON.stringify(line)}\n`);
}

/** Resent until answered. @param {typeof mapped[number]} request */
function ask(request) {
  const socket = sockets.get(request.address);
  const bytes = encodeMap({
    client: request.address,
    protocol: load.protocol,
    internalPort: request.internalPort,
    suggestedPort: request.externalPort || request.suggestedPort,
    lifetime: request.lifetime,
    nonce: request.nonce,
  });
  return new Promise((/** @type {(reply: import("./pcp-wire.mjs").Reply | null) => void} */ resolve) => {
    let waitMs = load.resendMs ?? 250;
    /** @type {NodeJS.Timeout} */
    let timer;
    const send = () => {
      if (stopping) {
        waiting.delete(request.nonce);
        return resolve(null);
      }
      socket.send(bytes, PORT, load.server);
      timer = setTimeout(() => {
        resent += 1;
        waitMs = Math.min(waitMs * 2, load.resendMaxMs ?? Math.max(1000, load.resendMs ?? 0));
        send();
      }, waitMs);
    };
    waiting.set(request.nonce, (reply) => {
      clearTimeout(timer);
      waiting.delete(request.nonce);
      resolve(reply);
    });
    send();
  });
}

/** @param {string} address @returns {Promise<import("node:dgram").Socket>} */
function openSocket(address) {
  const socket = createSocket({ type: "udp4", recvBufferSize: 1 << 20 });
  socket.on("error", () => undefined); // port unreachable while the server is down
  socket.on("message", (bytes) => {
    const reply = decodeReply(bytes);
    if (reply?.nonce !== undefined) waiting.get(reply.nonce)?.(reply);
  });
  return new Promise((resolve) => socket.bind({ address, port: 0 }, () => resolve(socket)));
}

/** @returns {Promise<string>} */
function firstLine() {
  const lines = createInterface({ input: process.stdin });
  lines.on("close", () => {
    stopping = true;
  });
  return new Promise((resolve) => lines.once("line", resolve));
}

/** @param {number} instant */
async function until(instant) {
  const wait = instant - performance.now();
  if (wait > 1) await new Promise((resolve) => setTimeout(resolve, wait));
}

/** @param {number[]} sorted @param {number} share */
function quantile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
