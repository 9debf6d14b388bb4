// One gateway that is made to fail again and again: its namespaces, its device, its daemon, and a data directory that
// each fault begins with a fresh copy of.
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Gateway } from "../lab/gateway.mjs";
import { createTopology } from "../lab/topology.mjs";
import { Client } from "./client.mjs";
import { Http } from "./http.mjs";
import { runLightLoad } from "./light-load.mjs";
import { copyAsOwn } from "./own-copy.mjs";
import { Promises } from "./promises.mjs";

/** Makes the disk's work follow one order: the n-th call is the n-th call again when a point is repeated. */
const ONE_DISK_THREAD = { UV_THREADPOOL_SIZE: "1" };

/** Of a daemon whose every system call stops for strace, on a machine that is busy with other things too. */
const READY_MS = 120_000;

/** wireguard-go's sockets are files, and network namespaces share those: a name is never used twice. */
let tunnels = 0;

/** @typedef {import("../lab/topology.mjs").Host} Host */
/** What a daemon may be started with. @typedef {{ prefix?: readonly string[]; env?: Record<string, string> }} Start */
/** A directory with data, its master key and promises, as a stop of some kind left them; null: as before the first start. @typedef {string | null} Image */

export class Lane {
  /** @type {readonly string[]} */
  #prefix = [];
  #config;
  /** Its WireGuard interface, where a point has one. @type {string | null} */
  tunnel = null;

  /** @param {import("../lab/topology.mjs").Topology} topology @param {Readonly<Record<string, unknown>>} config */
  constructor(topology, config) {
    this.topology = topology;
    const client = topology.clients[0];
    if (client === undefined) throw new Error("the topology has no client");
    /** @type {Host} */
    const host = {
      ...topology.gateway,
      spawn: (command, options) => topology.gateway.spawn([...this.#prefix, ...command], options),
    };
    this.#config = { lan: [{ interface: "lan0" }], api: { listen: null }, ...config };
    this.gateway = new Gateway(host, this.#config);
    this.gateway.readyMs = READY_MS;
    this.http = new Http(this.gateway.socket);
    this.client = new Client(client, topology.lanGateway);
    this.promises = new Promises(this.promisesFile);
  }

  /** With a WireGuard interface of a name that nobody else on this machine has. */
  configureTunnel() {
    tunnels += 1;
    this.tunnel = `w${process.pid.toString(36)}t${tunnels}`;
    this.configure({ wireguard: { interface: this.tunnel } });
  }

  /** wireguard-go ends with its interface. */
  async #leaveTunnel() {
    if (this.tunnel === null) return;
    await this.topology.gateway.exec("ip", "link", "delete", "dev", this.tunnel).catch(() => undefined);
    this.tunnel = null;
  }

  /** @param {Readonly<Record<string, unknown>>} [config] */
  static async open(config = {}) {
    return new Lane(await createTopology(), config);
  }

  get promisesFile() {
    return join(this.gateway.folder, "promises.ndjson");
  }

  get masterKey() {
    return join(this.gateway.folder, "master.key");
  }

  get dataDir() {
    return this.gateway.dataDir;
  }

  /** Where strace writes. */
  get traceFile() {
    return join(this.gateway.folder, "trace");
  }

  /** While it is there a failpoint counts. */
  get armedFile() {
    return join(this.gateway.folder, "armed");
  }

  arm() {
    writeFileSync(this.armedFile, "");
  }

  /** From the next start on, until another point begins. @param {Readonly<Record<string, unknown>>} config */
  configure(config) {
    this.gateway.configure({ ...this.#config, ...config });
  }

  /** @param {Image} image */
  async begin(image) {
    await this.gateway.kill();
    this.configure({});
    await this.topology.gateway.exec("nft", "flush", "ruleset");
    await this.#leaveTunnel();
    this.gateway.log.length = 0;
    this.promises.close();
    for (const path of [this.dataDir, this.masterKey, this.traceFile, this.armedFile])
      rmSync(path, { recursive: true, force: true });
    this.promises = new Promises(this.promisesFile);
    if (image === null) return;
    copyAsOwn(join(image, "data"), this.dataDir);
    cpSync(join(image, "master.key"), this.masterKey);
    cpSync(join(image, "promises.ndjson"), this.promisesFile);
    this.promises.reopen();
  }

  /** What a stop of some kind has left, for others to begin with. @param {string} image */
  save(image) {
    rmSync(image, { recursive: true, force: true });
    mkdirSync(image, { recursive: true });
    if (existsSync(this.dataDir)) cpSync(this.dataDir, join(image, "data"), { recursive: true });
    cpSync(this.masterKey, join(image, "master.key"));
    cpSync(this.promisesFile, join(image, "promises.ndjson"));
  }

  /** Whether it came up: `ready`, `safe-mode`, or dead before either. @param {Start} [start] */
  async start({ prefix = [], env = {} } = {}) {
    this.#prefix = prefix;
    try {
      const line = await this.gateway.start({ ...ONE_DISK_THREAD, ...env });
      // Whoever waits for an answer must hear of the end.
      this.gateway.child?.once("exit", () => this.client.forget());
      return { up: true, line };
    } catch (error) {
      if (this.gateway.running) throw error;
      return { up: false, line: null };
    } finally {
      this.#prefix = [];
    }
  }

  /** Resolves with whether all of it was acknowledged. @param {number} round @param {{ patience?: number }} [options] */
  async load(round, options = {}) {
    const { client, http, promises, gateway } = this;
    return await runLightLoad({ client, http, promises, round, gone: () => !gateway.running, ...options });
  }

  /** Whether the daemon has ended, or does so within this time. @param {number} withinMs */
  async ends(withinMs) {
    const { child } = this.gateway;
    if (child === null || !this.gateway.running) return true;
    const late = new Promise((resolve) => setTimeout(resolve, withinMs, false).unref());
    return await Promise.race([new Promise((resolve) => child.once("exit", () => resolve(true))), late]);
  }

  /** Resolves with the exit code, or null for a kill; gives up and kills after a while. */
  async stop() {
    const { child } = this.gateway;
    if (child === null || !this.gateway.running) return child?.exitCode ?? null;
    const ended = once(child, "exit");
    const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
    child.kill("SIGTERM");
    const [code] = await ended;
    clearTimeout(timer);
    return /** @type {number | null} */ (code);
  }

  /** External port of every forward in the kernel, as "tcp 14000 192.168.77.2 4000". */
  async kernel() {
    const { gateway } = this.topology;
    const tables = await gateway.exec("nft", "list", "tables");
    if (!tables.split("\n").includes("table inet portreeve")) return [];
    // The map alone: of the whole ruleset nft 1.0.6 sometimes prints nothing at all as JSON.
    const listed = JSON.parse(await gateway.exec("nft", "-j", "list", "map", "inet", "portreeve", "forwards"));
    /** @type {string[]} */
    const forwards = [];
    for (const { map } of listed.nftables) {
      if (map?.table !== "portreeve" || map.name !== "forwards") continue;
      for (const [key, value] of map.elem ?? []) {
        const [, protocol, port] = key.concat ?? [];
        const [address, internal] = value.concat ?? [];
        forwards.push(`${protocol} ${port} ${address} ${internal}`);
      }
    }
    return forwards.sort();
  }

  async close() {
    this.client.close();
    this.promises.close();
    await this.gateway.close();
    await this.topology.close();
  }
}
