// Network namespaces joined into internet – gateway – LAN. Plain JavaScript, because the demo and the benchmarks
// run it on Node 20 without a build. Nothing here touches the namespace of the machine itself: both ends of each
// veth are made directly inside the namespaces they belong to.
import { execFile, execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Names carry the pid of their maker, so that a later run can remove what a killed one left behind. */
const PREFIX = "prl";
const NETNS_DIR = "/run/netns";

/** Looks public, and is in no list of documentation prefixes: real clients refuse those. */
export const WAN_GATEWAY = "11.22.33.1";
export const WAN_STRANGER = "11.22.33.2";
export const WAN1_GATEWAY = "11.22.44.1";
export const WAN1_STRANGER = "11.22.44.2";
/** A host that is reached by both providers. */
export const REMOTE = "11.22.99.2";
export const LAN_GATEWAY = "192.168.77.1";
export const LAN1_GATEWAY = "192.168.78.1";
export const LAN1_CLIENT = "192.168.78.2";

/**
 * @typedef {object} TopologyOptions
 * @property {number} [clients] Hosts on lan0, each in a namespace of its own, .2 upwards. Default 1.
 * @property {boolean} [lan1] A second served segment with one client. Default false.
 * @property {string} [lan] Address of the gateway on lan0, in CIDR. Default 192.168.77.1/24.
 * @property {number} [peers] Hosts somewhere in the internet, each behind the stranger in a network of its own. Default 0.
 * @property {boolean} [wan1] A second provider, on wan1, and a host in the internet that both reach. Each provider drops
 *   what comes from a source that is not its customer's. Default false.
 * @property {string[]} [clientAddresses] More addresses (CIDR) of the first client.
 */

/**
 * @typedef {object} Host
 * @property {string} name
 * @property {string} namespace
 * @property {string} address
 * @property {(program: string, ...args: string[]) => Promise<string>} exec Runs to the end; resolves with stdout.
 * @property {(command: readonly string[], options?: import("node:child_process").SpawnOptions) => import("node:child_process").ChildProcess} spawn
 */

/** @type {string | null | undefined} */
let missing;

/** Why labs cannot run here, or null. */
export function missingForLab() {
  if (missing === undefined) missing = findMissing();
  return missing;
}

/** @returns {string | null} */
function findMissing() {
  if (process.platform !== "linux") return "network namespaces need Linux";
  if (process.getuid?.() !== 0) return "network namespaces need root";
  for (const program of ["ip", "nft", "conntrack"]) {
    if (!findProgram(program)) return `the program "${program}" is not installed`;
  }
  const probe = `${PREFIX}-${process.pid}-probe`;
  try {
    execFileSync("ip", ["netns", "add", probe], { stdio: "pipe" });
    execFileSync("ip", ["netns", "del", probe], { stdio: "pipe" });
  } catch {
    return "this machine does not let us make network namespaces";
  }
  return null;
}

/** @param {string} name */
export function findProgram(name) {
  const folders = `${process.env.PATH ?? ""}:/usr/local/sbin:/usr/sbin:/sbin`.split(":");
  return folders.map((folder) => `${folder}/${name}`).find((path) => existsSync(path)) ?? null;
}

/** @param {number} pid of the maker */
export function namespacesOf(pid) {
  const names = existsSync(NETNS_DIR) ? readdirSync(NETNS_DIR) : [];
  return names.filter((name) => name.startsWith(`${PREFIX}-${pid}-`));
}

/**
 * Removes the namespaces of makers that are gone, and what still runs in them.
 * @returns {Promise<string[]>} what was removed
 */
export async function sweepNamespaces() {
  const names = existsSync(NETNS_DIR) ? readdirSync(NETNS_DIR) : [];
  const orphans = names.filter((name) => {
    const maker = new RegExp(`^${PREFIX}-(\\d+)-`).exec(name)?.[1];
    return maker !== undefined && !existsSync(`/proc/${maker}`);
  });
  for (const name of orphans) await removeNamespace(name);
  return orphans;
}

/** @param {string} name */
async function removeNamespace(name) {
  for (let round = 0; round < 50; round += 1) {
    const { stdout } = await run("ip", ["netns", "pids", name]).catch(() => ({ stdout: "" }));
    const pids = stdout.split("\n").filter(Boolean).map(Number);
    if (pids.length === 0) break;
    for (const pid of pids) end(pid);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await run("ip", ["netns", "del", name]).catch(() => undefined);
}

/** Of a killed wireguard-go a socket stays, as a file that no namespace takes with it. @param {number} pid */
function end(pid) {
  try {
    const [program, name = ""] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    process.kill(pid, "SIGKILL");
    if (program === "wireguard-go" && name !== "") rmSync(`/run/wireguard/${name}.sock`, { force: true });
  } catch {
    // It ended between the listing and the signal.
  }
}

let made = 0;
/** @type {Set<string>} */
const standing = new Set();
// A script that ends early, by an error or Ctrl-C, has no time to await: what still stands goes here, synchronously.
process.on("exit", () => {
  for (const name of standing) {
    const pids = spawnSync("ip", ["netns", "pids", name], { encoding: "utf8" }).stdout ?? "";
    for (const pid of pids.split("\n").filter(Boolean)) end(Number(pid));
    spawnSync("ip", ["netns", "del", name]);
  }
});

/**
 * @param {TopologyOptions} [options]
 */
export async function createTopology(options = {}) {
  made += 1;
  const prefix = `${PREFIX}-${process.pid}-${made}`;
  const lan = options.lan ?? `${LAN_GATEWAY}/24`;
  const [lanGateway = "", lanLength = "24"] = lan.split("/");
  /** @type {string[]} */
  const namespaces = [];
  /** @param {string} name @param {string} address */
  const host = async (name, address) => {
    const namespace = `${prefix}-${name}`;
    await run("ip", ["netns", "add", namespace]);
    namespaces.push(namespace);
    standing.add(namespace);
    await batch(namespace, ["link set lo up"]);
    return makeHost(name, namespace, address);
  };
  const close = async () => {
    for (const namespace of namespaces.splice(0)) {
      await removeNamespace(namespace);
      standing.delete(namespace);
    }
  };

  try {
    const internet = await host("inet", WAN_STRANGER);
    const gateway = await host("gw", WAN_GATEWAY);
    const lanSwitch = await host("switch", "");
    await batch(gateway.namespace, [
      `link add wan0 type veth peer name wan0 netns ${internet.namespace}`,
      `link add lan0 type veth peer name gw netns ${lanSwitch.namespace}`,
      `address add ${WAN_GATEWAY}/24 dev wan0`,
      `address add ${lan} dev lan0`,
      "link set wan0 up",
      "link set lan0 up",
      `route add default via ${WAN_STRANGER} dev wan0`,
    ]);
    // The stranger is a hostile neighbour: he routes our private segments to us.
    await batch(internet.namespace, [
      `address add ${WAN_STRANGER}/24 dev wan0`,
      "link set wan0 up",
      `route add ${network(lan)} via ${WAN_GATEWAY} dev wan0`,
      `route add ${network(`${LAN1_GATEWAY}/24`)} via ${WAN_GATEWAY} dev wan0`,
    ]);
    await batch(lanSwitch.namespace, ["link add br0 type bridge", "link set br0 up", "link set gw master br0 up"]);

    const clients = [];
    for (let index = 0; index < (options.clients ?? 1); index += 1) {
      const address = addressAfter(lanGateway, index + 1);
      const client = await host(`c${index}`, address);
      const more = index === 0 ? (options.clientAddresses ?? []) : [];
      await batch(lanSwitch.namespace, [
        `link add c${index} type veth peer name eth0 netns ${client.namespace}`,
        `link set c${index} master br0 up`,
      ]);
      await batch(client.namespace, [
        ...[`${address}/${lanLength}`, ...more].map((each) => `address add ${each} dev eth0`),
        "link set eth0 up",
        `route add default via ${lanGateway} dev eth0`,
      ]);
      clients.push(client);
    }

    const peers = [];
    for (let index = 0; index < (options.peers ?? 0); index += 1) {
      const [near, address] = [`11.22.${50 + index}.1`, `11.22.${50 + index}.2`];
      const peer = await host(`p${index}`, address);
      await batch(internet.namespace, [
        `link add p${index} type veth peer name eth0 netns ${peer.namespace}`,
        `address add ${near}/24 dev p${index}`,
        `link set p${index} up`,
      ]);
      await batch(peer.namespace, [
        `address add ${address}/24 dev eth0`,
        "link set eth0 up",
        `route add default via ${near} dev eth0`,
      ]);
      peers.push(peer);
    }
    if (peers.length > 0) await internet.exec("sysctl", "-qw", "net.ipv4.ip_forward=1");

    const second = options.wan1 === true ? await addSecondProvider({ host, gateway, internet }) : null;

    let lan1Client = null;
    if (options.lan1 === true) {
      lan1Client = await host("l1", LAN1_CLIENT);
      await batch(gateway.namespace, [
        `link add lan1 type veth peer name eth0 netns ${lan1Client.namespace}`,
        `address add ${LAN1_GATEWAY}/24 dev lan1`,
        "link set lan1 up",
      ]);
      await batch(lan1Client.namespace, [
        `address add ${LAN1_CLIENT}/24 dev eth0`,
        "link set eth0 up",
        `route add default via ${LAN1_GATEWAY} dev eth0`,
      ]);
    }
    const { provider = null, remote = null } = second ?? {};
    return { prefix, internet, provider, remote, gateway, lanSwitch, clients, peers, lan1Client, lanGateway, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * @param {{ host: (name: string, address: string) => Promise<Host>; gateway: Host; internet: Host }} parts
 */
async function addSecondProvider({ host, gateway, internet }) {
  const provider = await host("isp1", WAN1_STRANGER);
  const remote = await host("remote", REMOTE);
  const uplinks = [
    { by: internet, wan: "wan0", ours: WAN_GATEWAY, near: "11.22.91.1", far: "11.22.91.2" },
    { by: provider, wan: "wan1", ours: WAN1_GATEWAY, near: "11.22.92.1", far: "11.22.92.2" },
  ];
  await batch(gateway.namespace, [
    `link add wan1 type veth peer name wan1 netns ${provider.namespace}`,
    `address add ${WAN1_GATEWAY}/24 dev wan1`,
    "link set wan1 up",
    `route add default via ${WAN1_STRANGER} dev wan1 metric 200`,
  ]);
  await batch(provider.namespace, [`address add ${WAN1_STRANGER}/24 dev wan1`, "link set wan1 up"]);
  await batch(remote.namespace, [`address add ${REMOTE}/32 dev lo`]);
  for (const { by, wan, ours, near, far } of uplinks) {
    await batch(by.namespace, [
      `link add remote type veth peer name ${wan} netns ${remote.namespace}`,
      `address add ${near}/24 dev remote`,
      "link set remote up",
    ]);
    await batch(remote.namespace, [
      `address add ${far}/24 dev ${wan}`,
      `link set ${wan} up`,
      `route add ${network(`${ours}/24`)} via ${near} dev ${wan} src ${REMOTE}`,
    ]);
    await batch(by.namespace, [`route add ${REMOTE}/32 via ${far} dev remote`]);
    await by.exec("sysctl", "-qw", "net.ipv4.ip_forward=1");
    const customer = `iifname "${wan}" ip saddr != ${network(`${ours}/24`)}`;
    const hook = "type filter hook prerouting priority 0; policy accept;";
    await by.exec("nft", `table ip provider {\nchain in {\n${hook}\n${customer} counter drop\n}\n}`);
  }
  return { provider, remote };
}

/** @typedef {Awaited<ReturnType<typeof createTopology>>} Topology */

/**
 * @param {string} name
 * @param {string} namespace
 * @param {string} address
 * @returns {Host}
 */
function makeHost(name, namespace, address) {
  return {
    name,
    namespace,
    address,
    async exec(program, ...args) {
      const { stdout } = await run("ip", ["netns", "exec", namespace, program, ...args], { maxBuffer: 256 << 20 });
      return stdout;
    },
    // `ip netns exec` replaces itself by the program: the child's pid is the program's.
    spawn: (command, spawnOptions = {}) => spawn("ip", ["netns", "exec", namespace, ...command], spawnOptions),
  };
}

/**
 * Several `ip` commands in one process.
 * @param {string} namespace
 * @param {readonly string[]} commands
 */
export async function batch(namespace, commands) {
  const done = run("ip", ["-n", namespace, "-batch", "-"]);
  done.child.stdin?.end(`${commands.join("\n")}\n`);
  await done;
}

/** @param {string} address @param {number} count */
export function addressAfter(address, count) {
  const value = address.split(".").reduce((sum, octet) => sum * 256 + Number(octet), 0) + count;
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255].join(".");
}

/** @param {string} cidr */
function network(cidr) {
  const [address = "", length = "24"] = cidr.split("/");
  const value = address.split(".").reduce((sum, octet) => sum * 256 + Number(octet), 0);
  const size = 2 ** (32 - Number(length));
  return `${addressAfter("0.0.0.0", Math.floor(value / size) * size)}/${length}`;
}
