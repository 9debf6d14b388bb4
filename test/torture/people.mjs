// A gateway with people on it, for what removes them: subnets and devices of each kind, what leads to them, and what of
// them is secret. All of it is looked up from outside before anything is removed.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Traces } from "../lab/traces.mjs";
import { map } from "./light-load.mjs";

/** @typedef {import("./lane.mjs").Lane} Lane */

/** Of the devices that the image has; the one on the LAN is the lane's own client. */
const GUESTS = ["g1", "g2", "g3"];
/** Of a key that a device made itself: any 32 bytes that are a point of the curve are a public key. */
const ITS_OWN_KEY = Buffer.alloc(32, 9).toString("base64");
/** src/events/secret-batch.ts: each secret of a batch has a place of so many bytes. */
const PLACE_BYTES = 1024;
const BATCH_DIGITS = 24;
const PEERS_WITHIN = 100;
const POLL_MS = 50;

/** From nothing to a gateway that serves all of them, killed. @param {Lane} lane */
export async function makePeopled(lane) {
  lane.configureTunnel();
  if (!(await lane.start()).up)
    throw new Error(`the daemon does not start:\n${lane.gateway.log.slice(-10).join("\n")}`);
  const { client } = lane;
  const declared = {
    name: "torture",
    subnets: [{ name: "guests", prefix: "10.66.1.0/24" }],
    devices: GUESTS.map((name) => ({ name, subnet: "guests" })),
    ports: [{ name: "to a guest", port: "24010/udp", to: "g1:4010" }],
  };
  await done(lane, "/declaration", { declaration: declared });
  await done(lane, "/devices", { name: "nas", kind: "server", subnet: "home" });
  await done(lane, "/devices", { name: "pad", subnet: "home" });
  await done(lane, "/devices", { name: "cam", subnet: "home", publicKey: ITS_OWN_KEY });
  await done(lane, "/devices", { name: "tv", kind: "server", interface: "lan0", address: client.address });
  const nas = (await lane.http.get("/api/v1/devices/nas")).document.address;
  const to = (/** @type {number} */ externalPort, /** @type {string} */ internalAddress) =>
    done(lane, "/ports", { protocol: "tcp", externalPort, internalAddress, internalPort: 80 });
  await to(24_001, nas);
  await to(24_002, client.address);
  // Nobody removes this one.
  await to(24_003, "192.168.77.9");
  await done(lane, "/devices/pad/allow", { protocol: "tcp", internalPort: 8080 });
  const party = { client, http: lane.http, promises: lane.promises, round: 0, gone: () => !lane.gateway.running };
  await map(party, { protocol: "udp", internalPort: 4001 });
  await lane.gateway.kill();
}

/** @param {Lane} lane @param {string} path @param {object} body */
async function done(lane, path, body) {
  const { status, document } = await lane.http.post(`/api/v1${path}`, body, {});
  if (status >= 300) throw new Error(`${path}: ${JSON.stringify(document)}`);
}

/**
 * @typedef {object} Person
 * @property {string} name
 * @property {string} address
 * @property {string | null} subnet its name; null on the LAN
 * @property {string | null} publicKey
 * @property {string | null} config what `device config` says, which nobody sees any more once its keys are erased
 * @property {Material[]} secrets
 */
/** @typedef {{ what: "private key" | "preshared key"; plain: string; sealed: string; file: string }} Material */
/** @typedef {{ people: Person[]; subnets: { name: string; gateway: string }[] }} Inventory */

/** Once the kernel has all of them. @param {Lane} lane @returns {Promise<Inventory>} */
export async function inventoryOf(lane) {
  const get = async (/** @type {string} */ path) => (await lane.http.get(`/api/v1${path}`)).document;
  const { state } = await get("/state");
  /** @type {{ id: string; name: string; address: string; subnet: { name: string } | null; publicKey: string | null }[]} */
  const devices = await get("/devices");
  const people = [];
  for (const { id, name, address, subnet, publicKey } of devices) {
    if (id.includes("@")) continue;
    const config = subnet === null ? null : (await get(`/devices/${name}/config`)).text;
    const { privateKeySecret, presharedKeySecret } = state.devices[id];
    /** @type {Material[]} */
    const secrets = [];
    if (privateKeySecret !== null) secrets.push(material(lane, "private key", "PrivateKey", config, privateKeySecret));
    if (presharedKeySecret !== null)
      secrets.push(material(lane, "preshared key", "PresharedKey", config, presharedKeySecret));
    people.push({ name, address, subnet: subnet?.name ?? null, publicKey, config, secrets });
  }
  /** @type {Inventory["subnets"]} */
  const subnets = await get("/subnets");
  return { people, subnets: subnets.map(({ name, gateway }) => ({ name, gateway })) };
}

/** @param {Lane} lane @param {Material["what"]} what @param {string} field @param {string} config @param {string} secretId @returns {Material} */
function material(lane, what, field, config, secretId) {
  const plain = new RegExp(`^${field} = (\\S+)$`, "m").exec(config)?.[1];
  if (plain === undefined) throw new Error(`the configuration has no ${field}`);
  return { what, plain, ...sealedText(lane, secretId) };
}

/** As it lies on the disk. @param {Lane} lane @param {string} secretId */
function sealedText({ dataDir }, secretId) {
  const directory = join(dataDir, "secrets");
  const alone = `${secretId}.json`;
  if (readdirSync(directory).includes(alone))
    return { file: join(directory, alone), sealed: readFileSync(join(directory, alone), "latin1") };
  const [batch, place] = [secretId.slice(0, 1 + BATCH_DIGITS), secretId.slice(1 + BATCH_DIGITS)];
  const file = join(directory, `${batch}.batch`);
  const offset = Number.parseInt(place, 16) * PLACE_BYTES;
  return { file, sealed: readFileSync(file, "latin1").slice(offset, offset + PLACE_BYTES) };
}

/** What must not be found of secrets: themselves in each form, and what the seals made of them. @param {readonly { name: string; secrets: readonly Material[] }[]} people */
export function tracesOf(people) {
  const traces = new Traces();
  for (const { name, secrets } of people) {
    for (const { what, plain, sealed } of secrets) {
      const bytes = Buffer.from(plain, "base64");
      const { key, material: body } = JSON.parse(sealed);
      traces.add(`the ${what} of ${name}`, [plain, bytes.toString("hex"), bytes.toString("latin1"), key, body]);
    }
  }
  return traces;
}

/** Public keys on the tunnel, and its addresses; null where there is no such interface. @param {Lane} lane */
export async function tunnelOf({ topology: { gateway }, tunnel }) {
  if (tunnel === null) throw new Error("this point has no tunnel");
  const links = JSON.parse(await gateway.exec("ip", "-j", "address"));
  /** @type {{ ifname: string; addr_info: { family: string; local: string }[] } | undefined} */
  const link = links.find((/** @type {{ ifname: string }} */ { ifname }) => ifname === tunnel);
  if (link === undefined) return null;
  const peers = (await gateway.exec("wg", "show", tunnel, "peers")).split("\n").filter(Boolean).sort();
  const addresses = link.addr_info.filter(({ family }) => family === "inet").map(({ local }) => local);
  return { peers, addresses: addresses.sort() };
}

/** @param {Lane} lane @param {number} count */
export async function untilPeers(lane, count) {
  for (let attempt = 0; attempt < PEERS_WITHIN; attempt += 1) {
    if ((await tunnelOf(lane))?.peers.length === count) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`the tunnel has not come to ${count} peers`);
}
