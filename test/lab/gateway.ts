import { type ChildProcess, execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Host } from "./topology.mjs";

const PROGRAM = fileURLToPath(new URL("../../bin/portreeve", import.meta.url));
const READY_MS = 20_000;

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A port as `port list --json` promises it. */
export interface Port {
  readonly id: string;
  readonly protocol: "tcp" | "udp";
  readonly external: { readonly address: string | null; readonly port: number };
  readonly internal: { readonly address: string; readonly port: number };
  readonly count: number;
  readonly source: string;
  readonly claims: readonly { readonly source: string; readonly device: string; readonly expiresAt: string | null }[];
  readonly enabled: boolean;
  readonly expiresAt: string | null;
  readonly sync: "synced" | "pending" | "error";
  readonly error: string | null;
}

export type Config = Readonly<Record<string, unknown>>;

/** The daemon under test, in the gateway's namespace, with directories of its own that outlive a kill. */
export class Gateway {
  readonly host: Host;
  readonly folder = mkdtempSync(join(tmpdir(), "portreeve-lab-"));
  readonly dataDir = join(this.folder, "data");
  readonly socket = join(this.folder, "run", "portreeve.sock");
  /** Every line the daemon has logged, over all its lives. */
  readonly log: string[] = [];
  readonly #configFile = join(this.folder, "portreeve.yaml");
  #child: ChildProcess | null = null;

  constructor(host: Host, config: Config) {
    this.host = host;
    this.configure(config);
  }

  /** Takes effect at the next start. */
  configure(config: Config): void {
    const all = {
      dataDir: this.dataDir,
      masterKeyFile: join(this.folder, "master.key"),
      runtimeDir: join(this.folder, "run"),
      ...config,
    };
    writeFileSync(this.#configFile, JSON.stringify(all)); // JSON is YAML
  }

  get configFile(): string {
    return this.#configFile;
  }

  get running(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error("the daemon was not started");
    return this.#child.pid;
  }

  /** Resolves with the `ready` (or `safe-mode`) line; rejects with the log's end if the daemon ends or is silent. */
  async start(): Promise<Record<string, unknown>> {
    const child = this.host.spawn([process.execPath, PROGRAM, "run", "--config", this.#configFile], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#child = child;
    return await new Promise((resolve, reject) => {
      const fail = (why: string) => reject(new Error(`the daemon ${why}\n${this.log.slice(-15).join("\n")}`));
      const timer = setTimeout(() => fail("was not ready in time"), READY_MS);
      if (child.stderr === null) throw new Error("the daemon has no stderr");
      createInterface({ input: child.stderr }).on("line", (line) => {
        this.log.push(line);
        if (!line.includes('"msg":"ready"') && !line.includes('"msg":"safe-mode"')) return;
        clearTimeout(timer);
        resolve(JSON.parse(line) as Record<string, unknown>);
      });
      child.once("exit", (code, signal) => {
        clearTimeout(timer);
        fail(`ended with ${code ?? signal}`);
      });
    });
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Resolves with the exit code and how long it took. */
  async stop(): Promise<{ code: number | null; tookMs: number }> {
    const before = performance.now();
    const code = await this.#end("SIGTERM");
    return { code, tookMs: performance.now() - before };
  }

  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  /** `portreeve ARGS` against this daemon's socket. */
  async cli(...args: string[]): Promise<CliResult> {
    return await runCli(["--socket", this.socket, ...args]);
  }

  /** The JSON document that `portreeve ARGS --json` prints; rejects if it exits other than 0. */
  async json<T>(...args: string[]): Promise<T> {
    const result = await this.cli(...args, "--json");
    if (result.code !== 0) throw new Error(`portreeve ${args.join(" ")} exited ${result.code}: ${result.stderr}`);
    return JSON.parse(result.stdout) as T;
  }

  async ports(): Promise<Port[]> {
    return await this.json<Port[]>("port", "list");
  }

  /** GET over the daemon's socket. */
  async get(path: string): Promise<{ status: number; body: string }> {
    return await new Promise((resolve, reject) => {
      const sent = request({ socketPath: this.socket, path, headers: { host: "localhost" } }, (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          body += chunk;
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
      });
      sent.on("error", reject);
      sent.end();
    });
  }

  async close(): Promise<void> {
    if (this.running) await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (child === null || !this.running) return null;
    const ended = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
    child.kill(signal);
    return await ended;
  }
}

/** Runs the program, wherever we are: it needs only its socket. */
export async function runCli(args: readonly string[]): Promise<CliResult> {
  return await new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...args], { maxBuffer: 512 << 20 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
  });
}
