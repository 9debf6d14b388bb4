import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Reply } from "./programs/pcp-wire.mjs";
import type { Host } from "./topology.mjs";

const PROGRAM = fileURLToPath(new URL("programs/agent.mjs", import.meta.url));

export interface Flow {
  readonly host: string;
  readonly port: number;
  readonly payload?: string;
  readonly from?: string;
  readonly fromPort?: number;
  readonly timeoutMs?: number;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Sends and receives on behalf of one host, from inside its namespace. */
export class Agent {
  readonly host: Host;
  /** What this host listens on, "tcp/80": the WAN scan compares what is open with it. */
  readonly listening = new Set<string>();
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  readonly #ready: Promise<unknown>;
  #nextId = 1;

  constructor(host: Host) {
    this.host = host;
    this.#child = host.spawn([process.execPath, PROGRAM], { stdio: ["pipe", "pipe", "inherit"] });
    this.#ready = new Promise((resolve, reject) => this.#waiting.set(0, { resolve, reject }));
    if (this.#child.stdout === null) throw new Error("the agent has no stdout");
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#receive(line));
    this.#child.on("exit", () => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`the agent of ${host.name} ended`));
      this.#waiting.clear();
    });
  }

  get address(): string {
    return this.host.address;
  }

  /** Echo servers that answer "name|peer|payload". */
  async listen(ports: { tcp?: number[]; udp?: number[] }): Promise<void> {
    await this.#call("listen", { name: this.host.name, ...ports });
    for (const port of ports.tcp ?? []) this.listening.add(`tcp/${port}`);
    for (const port of ports.udp ?? []) this.listening.add(`udp/${port}`);
  }

  /** One exchange over TCP: the answer's parts. Rejects with the reason if there is none. */
  async tcp(flow: Flow): Promise<Echo> {
    return parseEcho(await this.#call("connectOnce", flow));
  }

  async udp(flow: Flow): Promise<Echo> {
    return parseEcho(await this.#call("udpExchange", flow));
  }

  /** Why no answer came; null if one did. */
  async refusedTcp(flow: Flow): Promise<string | null> {
    return await this.tcp({ timeoutMs: 700, ...flow }).then(
      () => null,
      (error: Error) => error.message,
    );
  }

  async refusedUdp(flow: Flow): Promise<string | null> {
    return await this.udp({ timeoutMs: 700, ...flow }).then(
      () => null,
      (error: Error) => error.message,
    );
  }

  async openStream(stream: string, flow: Flow): Promise<Echo> {
    return parseEcho(await this.#call("openStream", { stream, ...flow }));
  }

  async say(stream: string, payload: string, timeoutMs = 1500): Promise<Echo> {
    return parseEcho(await this.#call("sayOnStream", { stream, payload, timeoutMs }));
  }

  async closeStream(stream: string): Promise<void> {
    await this.#call("closeStream", { stream });
  }

  /** A peer that goes on sending from one port, whether or not it is answered. */
  async startPeer(peer: string, flow: Flow): Promise<void> {
    await this.#call("udpStart", { peer, ...flow });
  }

  async stopPeer(peer: string): Promise<{ sent: number; answers: string[] }> {
    return (await this.#call("udpStop", { peer })) as { sent: number; answers: string[] };
  }

  /** Sends raw bytes to a port control server; null when nothing answers. */
  async pcp(request: {
    server: string;
    bytes: Uint8Array;
    from?: string;
    port?: number;
    timeoutMs?: number;
  }): Promise<(Reply & { hex: string }) | null> {
    const { bytes, ...rest } = request;
    return (await this.#call("pcp", { hex: Buffer.from(bytes).toString("hex"), ...rest })) as
      | (Reply & { hex: string })
      | null;
  }

  close(): void {
    this.#child.kill("SIGKILL");
  }

  async #call(operation: string, args: unknown): Promise<unknown> {
    await this.#ready;
    const id = this.#nextId;
    this.#nextId += 1;
    const answer = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#child.stdin?.write(`${JSON.stringify({ id, operation, args })}\n`);
    return await answer;
  }

  #receive(line: string): void {
    const { id, value, error } = JSON.parse(line) as { id: number; value?: unknown; error?: string };
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(value);
    else waiting?.reject(new Error(error));
  }
}

/** Who answered, whom they saw, and what they were told. */
export interface Echo {
  readonly by: string;
  readonly sawAddress: string;
  readonly sawPort: number;
  readonly payload: string;
}

function parseEcho(answer: unknown): Echo {
  const [by = "", saw = "", payload = ""] = String(answer).split("|");
  const [sawAddress = "", sawPort = ""] = saw.split(":");
  return { by, sawAddress, sawPort: Number(sawPort), payload };
}
