// Opens damaged data directories as a start does, one after the other, in a process of its own: LevelDB's binding is
// built with assertions, and what it does not survive must not take the harness along. Speaks JSON over IPC.
import { readFileSync } from "node:fs";
import { NAMED } from "./oracle.mjs";

const from = (/** @type {string} */ path) => import(new URL(`../../dist/${path}.js`, import.meta.url).href);
/** @type {[typeof import("../../src/daemon/store.ts"), typeof import("../../src/events/leveldb/verify.ts"), typeof import("../../src/reducers/state-json.ts"), typeof import("../../src/events/secrets.ts"), typeof import("../../src/events/master-key.ts")]} */
const [{ openStore }, { verifyLog }, { stateHash }, { openSecrets }, { loadMasterKey }] = await Promise.all([
  from("daemon/store"),
  from("events/leveldb/verify"),
  from("reducers/state-json"),
  from("events/secrets"),
  from("events/master-key"),
]);

/**
 * What an undamaged directory holds.
 * @typedef {object} Reference
 * @property {Record<number, string>} hashes of each record, by seq
 * @property {number} head
 * @property {string} stateHash at the head
 * @property {Record<string, unknown>} answers by request id
 * @property {Record<string, string>} secrets their material in hex, by id
 */
/** @typedef {{ id: number; directory: string; reference: string; acknowledged: number; verify: boolean }} Probe */

/** What reading may say: of a record, of an archive that lacks one, of a secret, and of a master key that is none. */
const REFUSALS = new Set(["LOG_CORRUPT", "NOT_FOUND", "UNAVAILABLE", "CONFIG_INVALID"]);

/** @type {Map<string, Reference>} */
const references = new Map();

/** @param {string} file @returns {Reference} */
function referenceIn(file) {
  const known = references.get(file) ?? JSON.parse(readFileSync(file, "utf8"));
  references.set(file, known);
  return known;
}

/** @param {Probe} probe @returns {Promise<import("./oracle.mjs").Verdict>} */
async function look({ directory, reference: file, acknowledged, verify }) {
  const reference = referenceIn(file);
  const said = verify ? await verifyLog(directory).catch((error) => unlessNotBegun(error, acknowledged)) : null;
  const store = await openStore(directory, () => {});
  if (!store.ok) {
    const { code, message, seq } = store.fault;
    const faults = NAMED.has(code) && Number.isInteger(seq) ? [] : [`${code} at ${seq}: ${message}`];
    if (said?.ok === true && said.witnessAhead === null)
      faults.push(`a start finds "${message}", \`events verify\` nothing`);
    return { outcome: "safe mode", faults };
  }
  const { log, state } = store;
  if (log.head.seq > reference.head)
    return { outcome: "whole", faults: [`has ${log.head.seq} records of ${reference.head}`] };
  try {
    const faults = log.head.seq < acknowledged ? [`ends at ${log.head.seq}, ${acknowledged} was acknowledged`] : [];
    if (log.head.seq === reference.head && stateHash(state) !== reference.stateHash)
      faults.push("it folds to another state");
    faults.push(...(await recordsWrong(log, reference)), ...(await answersWrong(log, reference)));
    faults.push(...(await secretsWrong(directory, reference)));
    return { outcome: "whole", faults };
  } catch (error) {
    // Reading says that it cannot, and where: as good as safe mode for what it is about.
    const { code, message } = /** @type {{ code?: string; message: string }} */ (error);
    const named = REFUSALS.has(String(code));
    return { outcome: "safe mode", faults: named ? [] : [`reading fails with ${code}: ${message}`] };
  } finally {
    await log.close();
  }
}

/** Before the first promise there may be no log yet. @param {{ code?: string }} error @param {number} acknowledged */
function unlessNotBegun(error, acknowledged) {
  if (error.code !== "NOT_FOUND" || acknowledged > 0) throw error;
  return null;
}

/** @param {import("../../src/events/log.ts").EventLog} log @param {Reference} reference */
async function recordsWrong(log, { hashes }) {
  let next = (await log.readableAfter()) + 1;
  for await (const { seq, hash } of log.read(next - 1)) {
    if (seq !== next) return [`record ${next} is left out in silence`];
    if (hashes[seq] !== hash) return [`record ${seq} is another one`];
    next += 1;
  }
  return next === log.head.seq + 1 ? [] : [`records end at ${next - 1}, the head is ${log.head.seq}`];
}

/** @param {import("../../src/events/log.ts").EventLog} log @param {Reference} reference */
async function answersWrong(log, { answers, head }) {
  /** @type {string[]} */
  const faults = [];
  for (const [requestId, answer] of Object.entries(answers)) {
    const found = await log.answerOf(requestId);
    if (found === undefined && log.head.seq < head) continue; // it came after where the log was cut
    if (JSON.stringify(found) !== JSON.stringify(answer))
      faults.push(`the answer to ${requestId} is ${JSON.stringify(found)}`);
  }
  return faults;
}

/** @param {string} directory @param {Reference} reference */
async function secretsWrong(directory, { secrets }) {
  if (Object.keys(secrets).length === 0) return [];
  const store = openSecrets(directory, await loadMasterKey(`${directory}/master.key`, true));
  /** @type {string[]} */
  const faults = [];
  for (const [id, hex] of Object.entries(secrets)) {
    const found = Buffer.from((await store.open(id)).expose()).toString("hex");
    if (found !== hex) faults.push(`secret ${id} opens as something else`);
  }
  return faults;
}

process.on("message", async (/** @type {Probe} */ probe) => {
  /** @type {import("./oracle.mjs").Verdict} */
  let verdict;
  try {
    verdict = await look(probe);
  } catch (error) {
    const { code, message, stack } = /** @type {{ code?: string; message: string; stack?: string }} */ (error);
    verdict = { outcome: "whole", faults: [`it fails with ${code ?? stack}: ${message}`] };
  }
  process.send?.({ id: probe.id, verdict });
});
process.on("disconnect", () => process.exit(0));
