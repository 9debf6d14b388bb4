// Data directories that lie still, with what is known to be in them: made by the program, then completed by the
// library with what the load does not make (secrets, an archive).
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeImages } from "./images.mjs";
import { Lane } from "./lane.mjs";
import { copyAsOwn } from "./own-copy.mjs";

/** @typedef {{ name: string; directory: string; reference: string; head: number }} StillImage */

const from = (/** @type {string} */ path) => import(new URL(`../../dist/${path}.js`, import.meta.url).href);
/** Few enough that most of the log leaves it. */
const RETAIN = { events: 10, days: 365 };

/** @param {string} folder @returns {Promise<StillImage[]>} */
export async function makeStillImages(folder) {
  mkdirSync(folder, { recursive: true });
  const lane = await Lane.open();
  try {
    const images = await makeImages(lane, folder);
    const still = ["stopped", "killed", "grown"].map((name) => ({ name, directory: join(folder, name, "data") }));
    const archived = join(folder, "archived");
    copyAsOwn(join(String(images.stopped), "data"), archived);
    await archive(archived);
    still.push({ name: "archived", directory: archived });
    const secrets = await seal(archived, join(folder, "stopped", "master.key"));
    return await Promise.all(still.map((image) => referTo(folder, image, image.directory === archived ? secrets : {})));
  } finally {
    await lane.close();
  }
}

/** @param {string} directory */
async function archive(directory) {
  const { openStore } = await from("daemon/store");
  const { SnapshotKeeper } = await from("controller/snapshot-keeper");
  const store = await openStore(directory, () => {});
  if (!store.ok) throw store.fault;
  const { log, snapshots, state } = store;
  const keeper = new SnapshotKeeper(snapshots, log, () => state);
  await keeper.compact(RETAIN, state.at);
  if (log.base.seq === 0) throw new Error("nothing has left the log");
  await log.close();
}

/** @param {string} directory @param {string} key @returns {Promise<Record<string, string>>} */
async function seal(directory, key) {
  const { openSecrets } = await from("events/secrets");
  const { loadMasterKey } = await from("events/master-key");
  const { Secret } = await from("events/secret");
  const inside = join(directory, "master.key");
  copyFileSync(key, inside);
  const store = openSecrets(directory, await loadMasterKey(inside, false));
  const material = Buffer.from("not for anyone's eyes");
  return { [await store.put("torture", new Secret(material))]: material.toString("hex") };
}

/** @param {string} folder @param {{ name: string; directory: string }} image @param {Record<string, string>} secrets @returns {Promise<StillImage>} */
export async function referTo(folder, { name, directory }, secrets) {
  const { openStore } = await from("daemon/store");
  const { stateHash } = await from("reducers/state-json");
  const copy = join(folder, `${name}-read`);
  copyAsOwn(directory, copy);
  const store = await openStore(copy, () => {});
  if (!store.ok) throw store.fault;
  /** @type {import("./directory-probe.mjs").Reference} */
  const reference = { hashes: {}, head: store.log.head.seq, stateHash: stateHash(store.state), answers: {}, secrets };
  for await (const { seq, hash, requestId } of store.log.read(await store.log.readableAfter())) {
    reference.hashes[seq] = hash;
    const answer = await store.log.answerOf(requestId);
    if (answer !== undefined) reference.answers[requestId] = answer;
  }
  await store.log.close();
  const file = join(folder, `${name}.json`);
  writeFileSync(file, JSON.stringify(reference));
  return { name, directory, reference: file, head: reference.head };
}
