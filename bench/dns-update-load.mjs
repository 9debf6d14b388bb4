// Signed DNS UPDATEs over UDP, a closed loop with so many in flight: reads one JSON line (`UpdateLoad`), prints one
// (`PhaseResult[]`). Each update is made and signed before the clock runs, so that what is measured is the server.
import { createSocket } from "node:dgram";
import { createInterface } from "node:readline";

/**
 * @typedef {object} UpdateLoad
 * @property {string} server
 * @property {number} port
 * @property {string} zone
 * @property {{ address: string; keyName: string; secret: string }[]} devices take turns; secret in base64
 * @property {{ kind: "add" | "remove" | "ask"; first: number; count: number }[]} phases
 * @property {number} inFlight
 * @property {number} resendMs
 */

/** @typedef {{ perSecond: number; p50: number; p99: number; resent: number; others: Record<string, number> }} PhaseResult `others`: rcodes but NOERROR */

const dist = new URL("../dist/", import.meta.url);
/** @param {string} path */
const built = (path) => import(new URL(`${path}.js`, dist).href);
/** @type {typeof import("../src/lib/domain-name.ts")} */
const { parseName } = await built("lib/domain-name");
/** @type {typeof import("../src/protocols/dns/encode.ts")} */
const { encodeMessage } = await built("protocols/dns/encode");
/** @type {typeof import("../src/protocols/dns/constants.ts")} */
const { CLASS, OPCODE, TYPE } = await built("protocols/dns/constants");
/** @type {typeof import("../src/protocols/dns/tsig.ts")} */
const { signRequest, tsigKey } = await built("protocols/dns/tsig");

/** @type {UpdateLoad} */
const load = JSON.parse(await firstLine());
/** @typedef {{ socket: import("node:dgram").Socket; bytes: Uint8Array; sentAt: number; sent: number; resolve: (answer: { rcode: number; sent: number }) => void }} Waiting */
/** @type {Map<number, Waiting>} by ID */
const waiting = new Map();
const senders = await Promise.all(
  load.devices.map(async ({ address, keyName, secret }) => {
    return { socket: await openSocket(address), key: tsigKey(named(keyName).key, Buffer.from(secret, "base64")) };
  }),
);
let nextId = 1;
setInterval(resendLate, load.resendMs / 10);
const results = [];
for (const phase of load.phases) results.push(await run(phase));
process.stdout.write(`${JSON.stringify(results)}\n`);
process.exit(0);

/** @param {UpdateLoad["phases"][number]} phase @returns {Promise<PhaseResult>} */
async function run({ kind, first, count }) {
  const messages = Array.from({ length: count }, (_, index) => messageOf(kind, first + index));
  /** @type {number[]} */
  const latencies = [];
  /** @type {Record<string, number>} */
  const others = {};
  let [next, resent] = [0, 0];
  const started = performance.now();
  const loop = async () => {
    for (let message = messages[next++]; message !== undefined; message = messages[next++]) {
      const before = performance.now();
      const { rcode, sent } = await ask(message);
      latencies.push(performance.now() - before);
      resent += sent - 1;
      if (rcode !== 0) others[rcode] = (others[rcode] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: load.inFlight }, loop));
  const seconds = (performance.now() - started) / 1000;
  latencies.sort((a, b) => a - b);
  return { perSecond: count / seconds, p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99), resent, others };
}

/** @param {"add" | "remove" | "ask"} kind @param {number} index */
function messageOf(kind, index) {
  const sender = senders[index % senders.length];
  if (sender === undefined) throw new Error("no device");
  const name = named(`u${index}.${load.zone}`);
  const id = nextId;
  nextId = (nextId % 65_535) + 1;
  const isQuery = kind === "ask";
  const record = { name, type: TYPE.A, class: CLASS.IN, ttl: 300 };
  const address = `10.59.${(index >> 8) & 255}.${index & 255}`;
  const change =
    kind === "add"
      ? { ...record, data: { kind: "A", address } }
      : { ...record, class: CLASS.ANY, ttl: 0, data: { kind: "empty" } };
  const question = isQuery
    ? { name, type: TYPE.A, class: CLASS.IN }
    : { name: named(load.zone), type: TYPE.SOA, class: CLASS.IN };
  const bytes = encodeMessage(
    /** @type {import("../src/protocols/dns/message.ts").Message} */ ({
      id,
      response: false,
      opcode: isQuery ? OPCODE.QUERY : OPCODE.UPDATE,
      authoritative: false,
      truncated: false,
      recursionDesired: false,
      recursionAvailable: false,
      authenticData: false,
      checkingDisabled: false,
      rcode: 0,
      questions: [question],
      answers: [],
      authorities: isQuery ? [] : [change],
      additionals: [],
      edns: null,
    }),
  );
  const signed = isQuery ? bytes : signRequest(bytes, sender.key, Math.floor(Date.now() / 1000)).bytes;
  return { id, socket: sender.socket, bytes: signed };
}

/** @param {{ id: number; socket: import("node:dgram").Socket; bytes: Uint8Array }} message */
function ask({ id, socket, bytes }) {
  return new Promise((/** @type {Waiting["resolve"]} */ resolve) => {
    waiting.set(id, { socket, bytes, sentAt: performance.now(), sent: 1, resolve });
    socket.send(bytes);
  });
}

/** @param {Buffer} reply */
function hear(reply) {
  const id = reply.readUInt16BE(0);
  const asked = waiting.get(id);
  waiting.delete(id);
  asked?.resolve({ rcode: (reply[3] ?? 0) & 15, sent: asked.sent });
}

/** One timer for all: the client runs on the machine that is measured. */
function resendLate() {
  const now = performance.now();
  for (const asked of waiting.values()) {
    if (now - asked.sentAt < load.resendMs) continue;
    asked.sentAt = now;
    asked.sent += 1;
    asked.socket.send(asked.bytes);
  }
}

/** @param {string} address @returns {Promise<import("node:dgram").Socket>} */
function openSocket(address) {
  const socket = createSocket({ type: "udp4", recvBufferSize: 1 << 20 });
  socket.on("error", () => undefined);
  socket.on("message", hear);
  return new Promise((resolve) => {
    // Connected, a datagram is sent without a look-up of where it goes.
    socket.bind({ address, port: 0 }, () => socket.connect(load.port, load.server, () => resolve(socket)));
  });
}

/** @param {string} text */
function named(text) {
  const name = parseName(text);
  if (name === null) throw new Error(`${text} is no name`);
  return name;
}

/** @returns {Promise<string>} */
function firstLine() {
  const lines = createInterface({ input: process.stdin });
  return new Promise((resolve) => lines.once("line", resolve));
}

/** @param {number[]} sorted @param {number} share */
function quantile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
