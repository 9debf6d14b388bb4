// What devices and an operator do in a quiet minute, one thing after the other: each kind of request that is
// acknowledged, and a burst that shares a commit. Ends early when nobody answers any more.
import { keyOf } from "./promises.mjs";

export const FIRST_PORT = 4000;
const LIFETIME = 7200;
/** How often a client asks again after a refusal that says "later". */
const PATIENCE = 60;
const RETRY_MS = 100;

/**
 * @typedef {object} Party
 * @property {import("./client.mjs").Client} client
 * @property {import("./http.mjs").Http} http
 * @property {import("./promises.mjs").Promises} promises
 * @property {() => boolean} gone whether the daemon has ended
 * @property {number} round makes the ports and keys of one load differ from another's
 * @property {number} [patience] how often to ask again after "later"
 */

/** The daemon is gone, or said "later" as long as we had patience. */
export class NoAnswer extends Error {}

/** Resolves with whether all of it was acknowledged. @param {Party} party @returns {Promise<boolean>} */
export async function runLightLoad(party) {
  const base = FIRST_PORT + party.round * 100;
  try {
    for (const [index, protocol] of /** @type {const} */ (["tcp", "udp", "tcp"]).entries()) {
      await map(party, { protocol, internalPort: base + index });
    }
    await natPmp(party, { protocol: "udp", internalPort: base + 10 });
    await addPort(party, base + 20);
    await map(party, { protocol: "tcp", internalPort: base });
    await unmap(party, { protocol: "udp", internalPort: base + 1 });
    await Promise.all([30, 31, 32, 33].map((more) => map(party, { protocol: "udp", internalPort: base + more })));
    await saveSnapshot(party);
    await map(party, { protocol: "tcp", internalPort: base + 40 });
    await addPort(party, base + 21);
    await saveSnapshot(party);
    await map(party, { protocol: "tcp", internalPort: base + 41 });
    return true;
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    return false;
  }
}

/** @typedef {{ protocol: "tcp" | "udp"; internalPort: number }} Wanted */

/** One nonce for each mapping: a renewal is told by it. @param {Wanted} wanted */
const nonceOf = ({ protocol, internalPort }) =>
  `${protocol === "tcp" ? "01" : "02"}${internalPort.toString(16).padStart(22, "0")}`;

/** @param {Party} party @param {Wanted} wanted */
export async function map(party, wanted) {
  const request = {
    ...wanted,
    suggestedPort: wanted.internalPort + 10_000,
    lifetime: LIFETIME,
    nonce: nonceOf(wanted),
  };
  await ask(party, "pcp", wanted, () => party.client.map(request));
}

/** @param {Party} party @param {Wanted} wanted */
async function natPmp(party, wanted) {
  const request = { ...wanted, suggestedPort: wanted.internalPort + 10_000, lifetime: LIFETIME };
  await ask(party, "natpmp", wanted, () => party.client.natPmpMap(request));
}

/** @param {Party} party @param {"pcp" | "natpmp"} by @param {Wanted} wanted @param {() => Promise<import("./client.mjs").Reply | null>} send */
async function ask(party, by, wanted, send) {
  const { client, promises } = party;
  const { reply, sentAt } = await patiently(party, send);
  promises.epoch({ epoch: reply.epoch, at: performance.now() / 1000 });
  const endsAt = sentAt + reply.lifetime * 1000;
  promises.granted({ by, address: client.address, ...wanted, externalPort: reply.externalPort ?? 0, endsAt });
}

/** @param {Party} party @param {Wanted} wanted */
async function unmap(party, wanted) {
  const { client, promises } = party;
  const key = keyOf({ address: client.address, ...wanted });
  promises.doubt(key);
  await patiently(party, () => client.map({ ...wanted, lifetime: 0, nonce: nonceOf(wanted) }));
  promises.ended(key);
}

/** @param {Party} party @param {() => Promise<import("./client.mjs").Reply | null>} send */
async function patiently({ gone, patience = PATIENCE }, send) {
  for (let attempt = 0; attempt <= patience && !gone(); attempt += 1) {
    const sentAt = Date.now();
    const reply = await send();
    if (reply === null) break;
    if (reply.result === 0) return { reply, sentAt };
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  throw new NoAnswer();
}

/** @param {Party} party @param {number} externalPort */
async function addPort(party, externalPort) {
  const { client, http, promises } = party;
  const key = `torture-${externalPort}`;
  const internalPort = externalPort;
  const body = { protocol: "tcp", externalPort, internalAddress: client.address, internalPort };
  const { seq } = await insist(party, () => http.post("/api/v1/ports", body, { "idempotency-key": key }));
  promises.answered({ key, body, seq });
  const mapped = { address: client.address, protocol: /** @type {const} */ ("tcp"), internalPort, externalPort };
  promises.granted({ by: "operator", ...mapped, endsAt: null });
}

/** @param {Party} party */
async function saveSnapshot(party) {
  await insist(party, () => party.http.post("/api/v1/snapshots", null, {}));
}

/** @param {Party} party @param {() => Promise<{ status: number; document: any }>} send */
async function insist({ gone, patience = PATIENCE }, send) {
  for (let attempt = 0; attempt <= patience && !gone(); attempt += 1) {
    const answer = await send().catch(() => null);
    if (answer === null) break;
    if (answer.status < 300) return answer.document;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  throw new NoAnswer();
}
