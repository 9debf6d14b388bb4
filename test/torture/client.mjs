// The near end of pcp-client.mjs: a device on the LAN that asks for mappings, and stops when its gateway dies.
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { decodeReply, encodeMap, encodeNatPmpMap } from "../lab/programs/pcp-wire.mjs";

const PROGRAM = fileURLToPath(new URL("pcp-client.mjs", import.meta.url));

/** @typedef {import("../lab/programs/pcp-wire.mjs").Reply} Reply */

export class Client {
  /** @type {Map<number, (reply: Reply | null) => void>} */
  #waiting = new Map();
  #nextId = 1;
  #child;
  #server;

  /** @param {import("../lab/topology.mjs").Host} host @param {string} server */
  constructor(host, server) {
    this.address = host.address;
    this.#server = server;
    this.#child = host.spawn([process.execPath, PROGRAM], { stdio: ["pipe", "pipe", "inherit"] });
    if (this.#child.stdout === null) throw new Error("the client has no stdout");
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      const { id, hex } = JSON.parse(line);
      this.#waiting.get(id)?.(decodeReply(Buffer.from(hex ?? "", "hex")));
      this.#waiting.delete(id);
    });
  }

  /** Null if everything was forgotten meanwhile. @param {Omit<import("../lab/programs/pcp-wire.mjs").MapRequest, "client">} request */
  map(request) {
    return this.#ask(encodeMap({ client: this.address, ...request }));
  }

  /** @param {Omit<import("../lab/programs/pcp-wire.mjs").MapRequest, "client">} request */
  natPmpMap(request) {
    return this.#ask(encodeNatPmpMap(request));
  }

  /** Nobody answers any more: what is under way is not asked again. */
  forget() {
    this.#child.stdin?.write(`${JSON.stringify({ forget: true })}\n`);
    for (const resolve of this.#waiting.values()) resolve(null);
    this.#waiting.clear();
  }

  close() {
    this.#child.kill("SIGKILL");
  }

  /** @param {Uint8Array} bytes @returns {Promise<Reply | null>} */
  #ask(bytes) {
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      const hex = Buffer.from(bytes).toString("hex");
      this.#child.stdin?.write(`${JSON.stringify({ id, server: this.#server, hex })}\n`);
    });
  }
}
