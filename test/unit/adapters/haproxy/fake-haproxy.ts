import { readFileSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { asHaproxySees, FILES } from "../../../../src/adapters/haproxy/config.ts";
import { MAP_FILES } from "../../../../src/adapters/haproxy/maps.ts";
import {
  configFile,
  type HaproxyProgram,
  type RunningHaproxy,
  type Start,
} from "../../../../src/adapters/haproxy/process.ts";
import { PortreeveError } from "../../../../src/lib/errors.ts";

interface Entry {
  readonly reference: string;
  readonly key: string;
  value: string;
}

/** As far as the target sees one: it starts from files, has maps, and answers on its admin socket as 2.6 does. */
class Running {
  readonly folder: string;
  readonly pid: number;
  readonly maps = new Map<string, Entry[]>();
  description: string;
  silent = false;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #lastReference = 0x1000;

  constructor(folder: string, instanceId: string, pid: number) {
    this.folder = folder;
    this.pid = pid;
    const config = readFileSync(join(folder, configFile(instanceId)), "utf8");
    this.description = /description "([^"]*)"/.exec(config)?.[1] ?? "";
    for (const map of MAP_FILES) {
      this.maps.set(asHaproxySees(map), []);
      for (const line of readFileSync(join(folder, map), "utf8").split("\n").filter(Boolean)) {
        this.answer(`add map ${asHaproxySees(map)} ${line}`);
      }
    }
    this.#server = createServer((socket) => this.#serve(socket));
  }

  async listen(): Promise<void> {
    const path = join(this.folder, FILES.socket);
    rmSync(path, { force: true });
    await new Promise<void>((resolve) => this.#server.listen(path, resolve));
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
    let pending = "";
    socket.setEncoding("utf8").on("data", (text: string) => {
      const lines = `${pending}${text}`.split("\n");
      pending = lines.pop() ?? "";
      if (this.silent) return;
      for (const line of lines) socket.write(`${this.answer(line)}\n> `);
    });
  }

  answer(command: string): string {
    if (command === "prompt") return "";
    if (command === "show info") return `Name: HAProxy\nPid: ${this.pid}\ndescription: ${this.description}\n`;
    if (command.startsWith("clear table hits key ")) return "";
    const [, verb, name = "", what = "", value = ""] =
      /^(show|add|set|del) map (\S+)(?: (\S+))?(?: (.*))?$/.exec(command) ?? [];
    const entries = this.maps.get(name);
    if (entries === undefined) return `Unknown map identifier. Please use #<id> or <file>.\n`;
    const found = entries.filter(({ reference, key }) => what === (what.startsWith("#") ? `#${reference}` : key));
    if (verb === "show")
      return entries.map(({ reference, key, value: its }) => `${reference} ${key} ${its}\n`).join("");
    if (verb === "add") {
      if (name.endsWith(FILES.segments) && !/^\d/.test(what)) return `'${what}' is not a valid IPv4 or IPv6 address.\n`;
      this.#lastReference += 16;
      entries.push({ reference: `0x${this.#lastReference.toString(16)}`, key: what, value });
      return "";
    }
    if (found.length === 0) return verb === "set" ? "entry not found.\n" : "Key not found.\n";
    if (verb === "set") for (const entry of found) entry.value = value;
    else
      this.maps.set(
        name,
        entries.filter((entry) => !found.includes(entry)),
      );
    return "";
  }
}

/** The machine's HAProxies of one instance: started, replaced, killed. */
export class FakeHaproxies implements HaproxyProgram {
  current: Running | null = null;
  starts = 0;
  /** What the next start says instead. */
  fault: string | null = null;
  /** Holds its ports, and lets go of them only when it is ended. */
  stubborn = false;

  user = (): Promise<null> => Promise.resolve(null);

  async start({ folder, instanceId, replaced }: Start): Promise<void> {
    const { fault } = this;
    this.fault = null;
    if (fault !== null) throw new PortreeveError("UNAVAILABLE", fault, "transient");
    if (this.current !== null && (this.stubborn || !replaced.includes(this.current.pid))) {
      throw new PortreeveError("UNAVAILABLE", "HAProxy did not start: cannot bind socket", "transient");
    }
    this.current?.stop();
    this.starts += 1;
    this.current = new Running(folder, instanceId, this.starts);
    await this.current.listen();
  }

  running = (): Promise<readonly RunningHaproxy[]> => Promise.resolve(this.current === null ? [] : [this.current]);

  async end(): Promise<readonly RunningHaproxy[]> {
    const found = await this.running();
    this.kill();
    return found;
  }

  kill(): void {
    this.current?.stop();
    this.current = null;
    this.stubborn = false;
  }

  /** Asks as any program with the right to may. */
  ask(command: string): string {
    return this.current?.answer(command) ?? "";
  }
}
