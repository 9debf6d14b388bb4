// Sends and receives on behalf of one host: the near end of programs/agent.mjs, which runs inside its namespace.
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("programs/agent.mjs", import.meta.url));
/** How long silence must last to count as a refusal. */
const REFUSED_MS = 700;

/**
 * @typedef {object} Flow
 * @property {string} host
 * @property {number} port
 * @property {string} [payload]
 * @property {string} [from]
 * @property {number} [fromPort]
 * @property {number} [timeoutMs]
 */

/**
 * Who answered, whom they saw, and what they were told.
 * @typedef {{ by: string; sawAddress: string; sawPort: number; payload: string }} Echo
 */

/** @typedef {import("./programs/pcp-wire.mjs").Reply & { hex: string }} RawReply */

export class Agent {
  /** @type {Map<number, { resolve: (value: any) => void; reject: (error: Error) => void }>} */
  #waiting = new Map();
  #nextId = 1;
  #ready;
  #child;

  /** @param {import("./topology.mjs").Host} host */
  constructor(host) {
    this.host = host;
    /** What this host listens on, "tcp/80": the WAN scan compares what is open with it. @type {Set<string>} */
    this.listening = new Set();
    this.#child = host.spawn([process.execPath, PROGRAM], { stdio: ["pipe", "pipe", "inherit"] });
    this.#ready = new Promise((resolve, reject) => this.#waiting.set(0, { resolve, reject }));
    this.#ready.catch(() => undefined); // who waits for a call hears of it there
    if (this.#child.stdout === null) throw new Error("the agent has no stdout");
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#receive(line));
    this.#child.on("exit", () => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`the agent of ${host.name} ended`));
      this.#waiting.clear();
    });
  }

  get address() {
    return this.host.address;
  }

  /**
   * Echo servers that answer "name|peer|payload", of IPv4 unless an address says otherwise.
   * @param {{ tcp?: number[]; udp?: number[]; address?: string }} ports
   */
  async listen(ports) {
    await this.#call("listen", { name: this.host.name, ...ports });
    for (const port of ports.tcp ?? []) this.listening.add(`tcp/${port}`);
    for (const port of ports.udp ?? []) this.listening.add(`udp/${port}`);
  }

  /** @param {{ tcp?: number[]; udp?: number[] }} ports */
  async stopListening(ports) {
    await this.#call("stopListening", ports);
    for (const port of ports.tcp ?? []) this.listening.delete(`tcp/${port}`);
    for (const port of ports.udp ?? []) this.listening.delete(`udp/${port}`);
  }

  /** One exchange over TCP. Rejects with the reason if no answer comes. @param {Flow} flow */
  async tcp(flow) {
    return parseEcho(await this.#call("connectOnce", flow));
  }

  /** @param {Flow} flow */
  async udp(flow) {
    return parseEcho(await this.#call("udpExchange", flow));
  }

  /** Why no answer came; null if one did. @param {Flow} flow @returns {Promise<string | null>} */
  async refusedTcp(flow) {
    return await this.tcp({ timeoutMs: REFUSED_MS, ...flow }).then(
      () => null,
      (error) => error.message,
    );
  }

  /** @param {Flow} flow @returns {Promise<string | null>} */
  async refusedUdp(flow) {
    return await this.udp({ timeoutMs: REFUSED_MS, ...flow }).then(
      () => null,
      (error) => error.message,
    );
  }

  /** @param {string} stream @param {Flow} flow */
  async openStream(stream, flow) {
    return parseEcho(await this.#call("openStream", { stream, ...flow }));
  }

  /** @param {string} stream @param {string} payload @param {number} [timeoutMs] */
  async say(stream, payload, timeoutMs = 1500) {
    return parseEcho(await this.#call("sayOnStream", { stream, payload, timeoutMs }));
  }

  /** @param {string} stream */
  async closeStream(stream) {
    await this.#call("closeStream", { stream });
  }

  /** Says a number with its instant on a stream of its own every 20 ms, and hears each back. @param {string} stream @param {Flow} flow */
  async startTicking(stream, flow) {
    await this.#call("startTicking", { stream, ...flow });
  }

  /**
   * `stalledMs`: the longest that the stream stood still, beyond what this host itself was held up; `failure`: why it
   * ended before it was stopped.
   * @param {string} stream
   * @returns {Promise<{ said: number; heard: number; inOrder: boolean; stalledMs: number; failure: string | null }>}
   */
  async stopTicking(stream) {
    return await this.#call("stopTicking", { stream });
  }

  /** A peer that goes on sending from one port, whether or not it is answered. @param {string} peer @param {Flow} flow */
  async startPeer(peer, flow) {
    await this.#call("udpStart", { peer, ...flow });
  }

  /** So far. @param {string} peer @returns {Promise<string[]>} */
  async peerAnswers(peer) {
    return await this.#call("udpAnswers", { peer });
  }

  /** @param {string} peer @returns {Promise<{ sent: number; answers: string[] }>} */
  async stopPeer(peer) {
    return await this.#call("udpStop", { peer });
  }

  /**
   * Sends raw bytes to a port control server; null when nothing answers.
   * @param {{ server: string; bytes: Uint8Array; from?: string; port?: number; timeoutMs?: number }} request
   * @returns {Promise<RawReply | null>}
   */
  async pcp({ bytes, ...rest }) {
    return await this.#call("pcp", { hex: Buffer.from(bytes).toString("hex"), ...rest });
  }

  /**
   * A socket that collects what comes to it, of a multicast group too; resolves with its port.
   * @param {string} ear @param {number} port @param {string} [group]
   * @returns {Promise<number>}
   */
  async listenUp(ear, port, group) {
    const local = group === undefined ? {} : { group, local: group.includes(":") ? "::%eth0" : this.address };
    return await this.#call("listenUp", { ear, port, ...local });
  }

  /** @param {string} ear @param {string} server @param {Uint8Array} bytes */
  async sendFromEar(ear, server, bytes) {
    await this.#call("sendFromEar", { ear, server, hex: Buffer.from(bytes).toString("hex") });
  }

  /** @param {string} ear @returns {Promise<(RawReply & { from: string; afterMs: number })[]>} */
  async heard(ear) {
    return await this.#call("heard", { ear });
  }

  close() {
    this.#child.kill("SIGKILL");
  }

  /** @param {string} operation @param {unknown} args @returns {Promise<any>} */
  async #call(operation, args) {
    await this.#ready;
    const id = this.#nextId;
    this.#nextId += 1;
    const answer = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#child.stdin?.write(`${JSON.stringify({ id, operation, args })}\n`);
    return await answer;
  }

  /** @param {string} line */
  #receive(line) {
    const { id, value, error } = JSON.parse(line);
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(value);
    else waiting?.reject(new Error(error));
  }
}

/** @param {unknown} answer @returns {Echo} */
function parseEcho(answer) {
  const [by = "", saw = "", payload = ""] = String(answer).split("|");
  const colon = saw.lastIndexOf(":");
  return { by, sawAddress: saw.slice(0, colon), sawPort: Number(saw.slice(colon + 1)), payload };
}
