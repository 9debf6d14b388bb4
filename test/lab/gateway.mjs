// The daemon under test, in the gateway's namespace. The lab, the benchmarks and the demo run it the same way.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const PROGRAM = fileURLToPath(new URL("../../bin/portreeve", import.meta.url));
const READY_MS = 30_000;

/** @typedef {{ code: number; stdout: string; stderr: string }} CliResult */

/**
 * A port as `port list --json` promises it.
 * @typedef {object} Port
 * @property {string} id
 * @property {"tcp" | "udp"} protocol
 * @property {{ address: string | null; port: number }} external
 * @property {{ address: string; port: number }} internal
 * @property {number} count
 * @property {string} source
 * @property {{ source: string; device: string | null; expiresAt: string | null }[]} claims
 * @property {boolean} enabled
 * @property {string | null} expiresAt
 * @property {"synced" | "pending" | "error"} sync
 * @property {string | null} error
 * @property {string | null} label
 */

/** An event as `events list --json` promises it. @typedef {{ seq: number; type: string; source: string; data: { name?: string } }} Event */

/** @type {Set<string>} */
const folders = new Set();
process.on("exit", () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** The daemon, with directories of its own that outlive a kill. */
export class Gateway {
  /**
   * @param {import("./topology.mjs").Host} host
   * @param {Readonly<Record<string, unknown>>} config everything but the directories
   */
  constructor(host, config) {
    this.host = host;
    this.folder = mkdtempSync(join(tmpdir(), "portreeve-lab-"));
    folders.add(this.folder);
    this.dataDir = join(this.folder, "data");
    this.socket = join(this.folder, "run", "portreeve.sock");
    this.configFile = join(this.folder, "portreeve.yaml");
    /** Every line the daemon has logged, over all its lives. @type {string[]} */
    this.log = [];
    /** @type {import("node:child_process").ChildProcess | null} */
    this.child = null;
    /** How long a start may take. */
    this.readyMs = READY_MS;
    this.configure(config);
  }

  /** Takes effect at the next start. @param {Readonly<Record<string, unknown>>} config */
  configure(config) {
    const folders = {
      dataDir: this.dataDir,
      masterKeyFile: join(this.folder, "master.key"),
      runtimeDir: join(this.folder, "run"),
    };
    writeFileSync(this.configFile, JSON.stringify({ ...folders, ...config })); // JSON is YAML
  }

  get running() {
    return this.child !== null && this.child.exitCode === null && this.child.signalCode === null;
  }

  get pid() {
    if (this.child?.pid === undefined) throw new Error("the daemon was not started");
    return this.child.pid;
  }

  /**
   * Resolves with the `ready` (or `safe-mode`) line; rejects with the log's end if the daemon ends or is silent.
   * @param {Record<string, string>} [env]
   * @returns {Promise<Record<string, unknown>>}
   */
  async start(env = {}) {
    const child = this.host.spawn([process.execPath, PROGRAM, "run", "--config", this.configFile], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, ...env },
    });
    this.child = child;
    return await new Promise((resolve, reject) => {
      /** @param {string} why */
      const fail = (why) => reject(new Error(`the daemon ${why}\n${this.log.slice(-15).join("\n")}`));
      const timer = setTimeout(() => fail("was not ready in time"), this.readyMs);
      if (child.stderr === null) throw new Error("the daemon has no stderr");
      createInterface({ input: child.stderr }).on("line", (line) => {
        this.log.push(line);
        if (!line.includes('"msg":"ready"') && !line.includes('"msg":"safe-mode"')) return;
        clearTimeout(timer);
        resolve(JSON.parse(line));
      });
      child.once("exit", (code, signal) => {
        clearTimeout(timer);
        fail(`ended with ${code ?? signal}`);
      });
    });
  }

  async kill() {
    await this.#end("SIGKILL");
  }

  /** Resolves with the exit code and how long it took. */
  async stop() {
    const before = performance.now();
    const code = await this.#end("SIGTERM");
    return { code, tookMs: performance.now() - before };
  }

  /** `portreeve ARGS` against this daemon's socket. @param {string[]} args */
  async cli(...args) {
    return await runCli(["--socket", this.socket, ...args]);
  }

  /**
   * The JSON document that `portreeve ARGS --json` prints; rejects if it exits other than 0.
   * @template T
   * @param {string[]} args
   * @returns {Promise<T>}
   */
  async json(...args) {
    const result = await this.cli(...args, "--json");
    if (result.code !== 0) throw new Error(`portreeve ${args.join(" ")} exited ${result.code}: ${result.stderr}`);
    return JSON.parse(result.stdout);
  }

  /** Of the newest event. @returns {Promise<number>} */
  async headSeq() {
    return (await this.json("state", "show")).seq;
  }

  /** Events since, but for the leases' checkpoint, which comes by the clock. @param {number} seq @returns {Promise<Event[]>} */
  async eventsAfter(seq) {
    /** @type {Event[]} */
    const records = await this.json("events", "list", "--after", String(seq));
    return records.filter(({ type }) => type !== "leases.renewed");
  }

  /** What `port list --json` prints, without a process for it. @returns {Promise<Port[]>} */
  async ports() {
    const { status, body } = await this.get("/api/v1/ports");
    if (status !== 200) throw new Error(`GET /api/v1/ports: ${status} ${body}`);
    return JSON.parse(body);
  }

  /**
   * GET over the daemon's socket.
   * @param {string} path
   * @returns {Promise<{ status: number; body: string }>}
   */
  async get(path) {
    return await new Promise((resolve, reject) => {
      const sent = request({ socketPath: this.socket, path, headers: { host: "localhost" } }, (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (chunk) => {
          body += chunk;
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
      });
      sent.on("error", reject);
      sent.end();
    });
  }

  async close() {
    if (this.running) await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
    folders.delete(this.folder);
  }

  /** @param {NodeJS.Signals} signal @returns {Promise<number | null>} */
  async #end(signal) {
    const child = this.child;
    if (child === null || !this.running) return null;
    const ended = new Promise((/** @type {(code: number | null) => void} */ resolve) => {
      child.once("exit", (code) => resolve(code));
    });
    child.kill(signal);
    return await ended;
  }
}

/**
 * Runs the program, wherever we are: it needs only its socket.
 * @param {readonly string[]} args
 * @param {Record<string, string>} [env]
 * @returns {Promise<CliResult>}
 */
export async function runCli(args, env = {}) {
  return await new Promise((resolve) => {
    const options = { maxBuffer: 512 << 20, env: { ...process.env, ...env } };
    const child = execFile(process.execPath, [PROGRAM, ...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
    child.stdin?.end();
  });
}
