// F2 F54: devices and subnets are removed one after the other, and the daemon is killed at every system call on its
// files and every named step of that. After the next start nothing of what went is left anywhere, and all of the rest
// is: peer, address, route, forward, and of its secrets no trace in any file, sealed ones neither.
import { join } from "node:path";
import { filesOf } from "../lab/traces.mjs";
import { environment, slug } from "./failpoints.mjs";
import { different, kernelDiffers, logBroken, settled } from "./oracle.mjs";
import { inventoryOf, tracesOf, tunnelOf, untilPeers } from "./people.mjs";
import { attachStrace, storagePaths, STEADY_NAMES, STORAGE_CALLS } from "./strace.mjs";
import { mustStart } from "./syscall-kills.mjs";

/** @typedef {import("./series.mjs").Series} Series */
/** @typedef {import("./lane.mjs").Lane} Lane */
/** @typedef {import("./people.mjs").Inventory} Inventory */
/** @typedef {import("./people.mjs").Person} Person */
/** @typedef {import("./failpoints.mjs").Step} Step */

/** From the last answer to the end of the last secret, or of the daemon. */
const ERASED_WITHIN_MS = 5000;
const POLL_MS = 25;

/** @type {readonly Omit<Step, "when">[]} */
const AROUND = [
  { name: "append", module: "events/leveldb/level-log", of: "LevelLog.append" },
  { name: "peers leave", module: "adapters/wireguard/device", of: "WireguardDevices.removePeers" },
  { name: "interface leaves", module: "adapters/wireguard/device", of: "WireguardDevices.remove" },
  { name: "addresses leave", module: "adapters/kernel/ip-batch", of: "ipBatch", only: "address delete" },
  { name: "forwards leave", module: "adapters/nftables/nftables", of: "Nftables.apply" },
  { name: "secret erased", module: "events/secrets", of: "SecretFiles.erase" },
  { name: "place erased", module: "events/secret-batch", of: "SecretBatches.erase" },
  { name: "file removed", module: "events/durable-file", of: "removeDurably" },
];
/** @type {readonly Step[]} */
const REMOVING = [
  { name: "decided", module: "reducers/decide/index", of: "decide", when: "after" },
  { name: "published", module: "controller/controller", of: "Controller.submit", when: "after" },
  {
    name: "settled, not replied",
    module: "controller/settled-submission",
    of: "SettledSubmission.submit",
    when: "after",
  },
  { name: "secrets listed", module: "events/secrets", of: "SecretFiles.list", when: "after" },
  { name: "place overwritten", module: "events/secrets", of: "FileHandle.write", when: "after" },
  { name: "place synced", module: "events/secrets", of: "FileHandle.datasync", when: "after" },
  ...AROUND.flatMap((step) =>
    /** @type {const} */ (["before", "after"]).map((when) => ({ ...step, name: `${when} ${step.name}`, when })),
  ),
];

/** @returns {Series[]} */
export function removals() {
  const killed = STORAGE_CALLS.filter((call) => !["rename", "mkdir"].includes(call)).map((call) =>
    series(`removal/kill/${call}`, "F1 F54", async (lane, nth) => {
      await mustStart(lane, { env: STEADY_NAMES });
      const before = await ready(lane);
      const files = before.people.flatMap(({ secrets }) => secrets.map(({ file }) => file));
      const paths = [...storagePaths(lane.dataDir), `${lane.dataDir}/secrets`, ...new Set(files)];
      const injection = { call, when: String(nth), what: "signal=KILL", paths };
      const strace = await attachStrace(lane.gateway.pid, lane.dataDir, lane.traceFile, injection);
      const removed = await removeAll(lane, before);
      await strace.detach();
      return { before, removed };
    }),
  );
  const steps = REMOVING.map((step) => ({
    ...series(`removal/step/${slug(step.name)}`, "F2 F54", async (lane, nth) => {
      const env = { ...environment(step, nth), PORTREEVE_TEST_FAILPOINT_ARMED: lane.armedFile };
      await mustStart(lane, { env });
      const before = await ready(lane);
      lane.arm();
      return { before, removed: await removeAll(lane, before) };
    }),
    certain: true,
  }));
  return [...killed, ...steps];
}

/**
 * @typedef {object} Removed
 * @property {Set<string>} people gone
 * @property {Set<string>} subnets gone
 * @property {Set<string>} keys of people whose private key is erased here
 * @property {string | null} doubted what was asked for when the daemon died: it happened or not
 * @property {boolean} died
 */

/**
 * @param {string} name @param {string} faults @param {(lane: Lane, nth: number) => Promise<{ before: Inventory; removed: Removed }>} live
 * @returns {Series}
 */
const series = (name, faults, live) => ({
  name,
  image: "peopled",
  faults,
  run: async (lane, library, nth) => {
    lane.configureTunnel();
    const { before, removed } = await live(lane, nth);
    await lane.gateway.kill();
    return { fired: removed.died, outcome: "whole", faults: await left(lane, library, before, removed) };
  },
});

/** What is there before anything goes; that each trace can be found is what makes finding none mean something. @param {Lane} lane */
async function ready(lane) {
  const inventory = await inventoryOf(lane);
  await untilPeers(lane, inventory.people.filter(({ publicKey }) => publicKey !== null).length);
  const found = new Set(tracesOf(inventory.people).foundIn(await filesOf(lane.dataDir)));
  for (const { name, secrets } of inventory.people)
    for (const { what, file } of secrets)
      if (!found.has(`the ${what} of ${name} in ${file}`))
        throw new Error(`the ${what} of ${name} is not found where it is`);
  return inventory;
}

/** @param {Inventory} before */
function requestsOf({ people, subnets }) {
  const guests = people.filter(({ subnet }) => subnet === "guests").map(({ name }) => name);
  const device = (/** @type {string} */ name) => ({ path: `devices/${name}`, people: [name], subnets: [], keys: [] });
  const subnet = (/** @type {string} */ name, /** @type {string[]} */ on) => {
    if (!subnets.some((each) => each.name === name)) throw new Error(`there is no subnet ${name}`);
    return { path: `subnets/${name}`, people: on, subnets: [name], keys: [] };
  };
  return [
    device("nas"),
    device("tv"),
    { path: "devices/pad/private-key", people: [], subnets: [], keys: ["pad"] },
    subnet("guests", guests),
    device("cam"),
    device("pad"),
    subnet("home", []),
  ];
}

/** Until all of it is gone, its secrets too, or the daemon is. @param {Lane} lane @param {Inventory} before @returns {Promise<Removed>} */
async function removeAll(lane, before) {
  /** @type {Removed} */
  const removed = { people: new Set(), subnets: new Set(), keys: new Set(), doubted: null, died: false };
  for (const { path, people, subnets, keys } of requestsOf(before)) {
    const answer = await lane.http.delete(`/api/v1/${path}`).catch(() => null);
    if (answer === null) {
      if (!(await lane.ends(ERASED_WITHIN_MS))) throw new Error(`${path} is not answered, and the daemon lives`);
      return { ...removed, doubted: path, died: true };
    }
    if (answer.status >= 300) throw new Error(`${path}: ${JSON.stringify(answer.document)}`);
    for (const name of people) removed.people.add(name);
    for (const name of subnets) removed.subnets.add(name);
    for (const name of keys) removed.keys.add(name);
  }
  const traces = tracesOf(before.people);
  const until = performance.now() + ERASED_WITHIN_MS;
  while (lane.gateway.running && performance.now() < until) {
    if (traces.foundIn(await filesOf(join(lane.dataDir, "secrets"))).length === 0) break;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  // What a kill falls into after the last erasure is over within the same moment.
  return { ...removed, died: await lane.ends(POLL_MS * 4) };
}

/**
 * @param {Lane} lane @param {import("./oracle.mjs").Library} library @param {Inventory} before @param {Removed} removed
 * @returns {Promise<string[]>}
 */
async function left(lane, library, before, removed) {
  const { up, line } = await lane.start();
  if (!up || line?.msg !== "ready") return [`the daemon does not start: ${lane.gateway.log.slice(-3).join(" ")}`];
  const after = await resolved(lane, before, removed);
  const faults = [...after.faults];
  faults.push(...(await settled(() => tunnelDiffers(lane, before, after))));
  faults.push(...(await settled(() => kernelDiffers(lane))), ...(await forwardsDiffer(lane, before, after)));
  faults.push(...(await settled(() => secretsLeft(lane, before, after))));
  faults.push(...(await secretsLost(lane, before, after)));
  const { document } = await lane.http.get("/api/v1/state");
  await lane.gateway.kill();
  faults.push(...(await logBroken(lane, library, document)));
  // Once more: a start that leaves something to the next one would not be the end of it.
  return [...faults, ...(await secretsLeft(lane, before, after))];
}

/** What was in doubt happened whole or not at all. @param {Lane} lane @param {Inventory} before @param {Removed} removed */
async function resolved(lane, before, removed) {
  const get = async (/** @type {string} */ path) => (await lane.http.get(`/api/v1/${path}`)).document;
  /** @type {{ name: string; registered: boolean; privateKeyKept: boolean }[]} */
  const devices = (await get("devices")).filter((/** @type {{ registered: boolean }} */ each) => each.registered);
  const known = new Map(devices.map((device) => [device.name, device]));
  /** @type {{ name: string }[]} */
  const subnets = await get("subnets");
  const doubted = requestsOf(before).find(({ path }) => path === removed.doubted);
  const happened =
    doubted !== undefined &&
    doubted.people.every((name) => !known.has(name)) &&
    doubted.subnets.every((name) => !subnets.some((each) => each.name === name)) &&
    doubted.keys.every((name) => known.get(name)?.privateKeyKept === false);
  const gone = {
    people: new Set([...removed.people, ...(happened ? doubted.people : [])]),
    subnets: new Set([...removed.subnets, ...(happened ? doubted.subnets : [])]),
    keys: new Set([...removed.keys, ...(happened ? doubted.keys : [])]),
  };
  const names = (/** @type {{ name: string }[]} */ all, /** @type {Set<string>} */ without) =>
    all.map(({ name }) => name).filter((name) => !without.has(name));
  const faults = [
    ...different("devices", names(before.people, gone.people), names(devices, new Set())),
    ...different("subnets", names(before.subnets, gone.subnets), names(subnets, new Set())),
  ];
  return { ...gone, faults };
}

/** @typedef {Awaited<ReturnType<typeof resolved>>} After */

/** @param {Lane} lane @param {Inventory} before @param {After} after */
async function tunnelDiffers(lane, before, after) {
  const people = before.people.filter(({ name, subnet }) => subnet !== null && !after.people.has(name));
  const found = await tunnelOf(lane);
  const routes = (await lane.topology.gateway.exec("ip", "route", "show", "table", "all"))
    .split("\n")
    .filter((line) => before.subnets.some(({ gateway }) => line.includes(gateway.replace(/\.\d+$/, "."))));
  if (people.length === 0)
    return [
      ...(found === null ? [] : ["the tunnel is there, with nobody on it"]),
      ...routes.map((line) => `a route is left: ${line}`),
    ];
  if (found === null) return ["the tunnel is not there"];
  const subnets = before.subnets.filter(({ name }) => !after.subnets.has(name));
  const stale = before.subnets.filter(({ name }) => after.subnets.has(name));
  return [
    ...different(
      "peers",
      people.map(({ publicKey }) => String(publicKey)),
      found.peers,
    ),
    ...different(
      "addresses",
      subnets.map(({ gateway }) => gateway),
      found.addresses,
    ),
    ...routes
      .filter((line) => stale.some(({ gateway }) => line.includes(gateway.replace(/\.\d+$/, "."))))
      .map((line) => `a route is left: ${line}`),
  ];
}

/** Of who is gone no address is in any table, and what leads to others is there. @param {Lane} lane @param {Inventory} before @param {After} after */
async function forwardsDiffer(lane, before, after) {
  /** @type {import("../lab/gateway.mjs").Port[]} */
  const ports = (await lane.http.get("/api/v1/ports")).document;
  const leading = (/** @type {string} */ address) => ports.filter(({ internal }) => internal.address === address);
  const rules = await lane.topology.gateway.exec("nft", "list", "ruleset");
  const expected = { nas: 1, tv: 2, g1: 1 };
  return [
    ...before.people.flatMap(({ name, address, subnet }) => {
      if (!after.people.has(name)) {
        const missing = (expected[/** @type {keyof typeof expected} */ (name)] ?? 0) - leading(address).length;
        return missing === 0 ? [] : [`${missing} of what leads to ${name} is gone`];
      }
      const inTables = subnet !== null && new RegExp(`\\b${address.replaceAll(".", "\\.")}\\b`).test(rules);
      return [
        ...leading(address).map(({ id }) => `port ${id} leads to ${name}, who is gone`),
        ...(inTables ? [`the address of ${name}, who is gone, is in a table`] : []),
      ];
    }),
    ...(leading("192.168.77.9").length === 1 ? [] : ["a forward that nobody removed is gone"]),
  ];
}

/** @param {Person} person @param {After} after */
const erased = ({ name, secrets }, after) =>
  secrets.filter(({ what }) => after.people.has(name) || (what === "private key" && after.keys.has(name)));

/** @param {Lane} lane @param {Inventory} before @param {After} after */
async function secretsLeft({ dataDir, gateway }, before, after) {
  const traces = tracesOf(before.people.map((person) => ({ ...person, secrets: erased(person, after) })));
  const places = new Map([...(await filesOf(dataDir)), ...(await filesOf(join(gateway.folder, "run")))]);
  places.set("what the daemon logs", gateway.log.join("\n"));
  return traces.foundIn(places).map((found) => `left: ${found}`);
}

/** Who stays has the configuration he had. @param {Lane} lane @param {Inventory} before @param {After} after */
async function secretsLost({ http }, before, after) {
  const faults = [];
  for (const person of before.people) {
    if (person.config === null || after.people.has(person.name) || after.keys.has(person.name)) continue;
    const { document } = await http.get(`/api/v1/devices/${person.name}/config`);
    if (document.text !== person.config) faults.push(`the configuration of ${person.name} is not what it was`);
  }
  return faults;
}
