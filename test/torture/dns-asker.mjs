// The near end of dns-client.mjs: a device on the LAN that publishes names with its key, and looks them up. Messages are
// made and signed here octet by octet, and read by a library that is not ours.
import { createHmac } from "node:crypto";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import dnsPacket from "dns-packet";

const PROGRAM = fileURLToPath(new URL("dns-client.mjs", import.meta.url));
const TYPE = { A: 1, SOA: 6, TXT: 16, TSIG: 250, ANY: 255 };
const CLASS = { IN: 1, NONE: 254, ANY: 255 };
const UPDATE = 5 << 11;
const RECURSION_DESIRED = 1 << 8;
const TRUNCATED = 1 << 9;
const RATE_REST_MS = 200;
const FUDGE = 300;
const HEADER_OCTETS = 12;
const NOTHING = Buffer.alloc(0);

/** What an update does, as RFC 2136 §2.5 has it. @typedef {{ add: string } | { remove: string } | { clear: "A" | "TXT" } | { clear: "all" }} Change */

/** @param {string} name */
const nameOctets = (name) =>
  Buffer.concat([
    ...name.split(".").map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)])),
    Buffer.of(0),
  ]);
const u16 = (/** @type {number} */ value) => Buffer.of(value >> 8, value & 0xff);
const u32 = (/** @type {number} */ value) => Buffer.concat([u16(value >>> 16), u16(value & 0xffff)]);

/** @param {Buffer} name @param {number} type @param {number} recordClass @param {number} ttl @param {Buffer} data */
const record = (name, type, recordClass, ttl, data) =>
  Buffer.concat([name, u16(type), u16(recordClass), u32(ttl), u16(data.length), data]);

/** @param {string} text "A 10.0.0.1" or "TXT word" @returns {[type: number, data: Buffer]} */
function dataOf(text) {
  const [type, value = ""] = text.split(" ");
  if (type === "A") return [TYPE.A, Buffer.from(value.split(".").map(Number))];
  return [TYPE.TXT, Buffer.concat([Buffer.of(value.length), Buffer.from(value)])];
}

/** @param {Buffer} name @param {Change} change */
function changeOctets(name, change) {
  if ("clear" in change)
    return record(name, change.clear === "all" ? TYPE.ANY : TYPE[change.clear], CLASS.ANY, 0, NOTHING);
  if ("add" in change) {
    const [type, data] = dataOf(change.add);
    return record(name, type, CLASS.IN, 60, data);
  }
  const [type, data] = dataOf(change.remove);
  return record(name, type, CLASS.NONE, 0, data);
}

export class DnsAsker {
  /** @type {Map<string, (answer: Buffer | null) => void>} */
  #waiting = new Map();
  #nextId = 1;
  #gone = false;
  #child;
  #server;
  #key;
  #zone;

  /**
   * @param {import("../lab/topology.mjs").Host} host @param {string} server
   * @param {{ keyName: string; secret: string; zone: string }} key
   */
  constructor(host, server, { keyName, secret, zone }) {
    this.#server = server;
    this.#zone = zone;
    this.#key = { name: nameOctets(keyName), secret: Buffer.from(secret, "base64") };
    this.#child = host.spawn([process.execPath, PROGRAM], { stdio: ["pipe", "pipe", "inherit"] });
    if (this.#child.stdout === null) throw new Error("the client has no stdout");
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      const { hex } = JSON.parse(line);
      const id = hex.slice(0, 4);
      const resolve = this.#waiting.get(id);
      this.#waiting.delete(id);
      resolve?.(Buffer.from(hex, "hex"));
    });
  }

  /** The signed message; `aheadSeconds` of our clock. @param {string} name @param {readonly Change[]} changes @param {number} [aheadSeconds] */
  update(name, changes, aheadSeconds = 0) {
    const id = this.#takeId();
    const owner = nameOctets(name);
    const head = Buffer.concat([id, u16(UPDATE), u16(1), u16(0), u16(changes.length)]);
    const body = Buffer.concat([
      Buffer.concat([nameOctets(this.#zone), u16(TYPE.SOA), u16(CLASS.IN)]),
      ...changes.map((change) => changeOctets(owner, change)),
    ]);
    const algorithm = nameOctets("hmac-sha256");
    const time = Buffer.concat([u16(0), u32(Math.floor(Date.now() / 1000) + aheadSeconds), u16(FUDGE)]);
    const { name: keyName, secret } = this.#key;
    // RFC 8945 §4.3: the message without the record, then what of the record is signed.
    const variables = Buffer.concat([keyName, u16(CLASS.ANY), u32(0), algorithm, time, u16(0), u16(0)]);
    const mac = createHmac("sha256", secret)
      .update(Buffer.concat([head, u16(0), body, variables]))
      .digest();
    const data = Buffer.concat([algorithm, time, u16(mac.length), mac, id, u16(0), u16(0)]);
    return Buffer.concat([head, u16(1), body, record(keyName, TYPE.TSIG, CLASS.ANY, 0, data)]);
  }

  /** The rcode; null if everything was forgotten meanwhile. @param {Buffer} message */
  async send(message) {
    const answer = await this.#ask(message);
    return answer === null ? null : answer.readUInt16BE(2) & 0xf;
  }

  /** "A 10.0.0.1" and "TXT word", in order. @param {string} name */
  async records(name) {
    const found = [];
    for (const answer of [await this.#query(name, TYPE.A), await this.#query(name, TYPE.TXT)]) {
      for (const each of answer) {
        if (each.type === "A") found.push(`A ${each.data}`);
        if (each.type === "TXT") found.push(`TXT ${String(each.data)}`);
      }
    }
    return found.sort();
  }

  /** The zone's; null if everything was forgotten meanwhile. */
  async serial() {
    const [soa] = await this.#query(this.#zone, TYPE.SOA);
    return soa?.type === "SOA" ? (soa.data.serial ?? 0) : null;
  }

  /** Until this daemon ends there are answers. @param {import("node:child_process").ChildProcess | null} daemon */
  attend(daemon) {
    this.#gone = false;
    daemon?.once("exit", () => this.#forget());
  }

  /** Nobody answers any more: what is under way is not asked again, and nothing else is asked. */
  #forget() {
    this.#gone = true;
    this.#child.stdin?.write(`${JSON.stringify({ forget: true })}\n`);
    for (const resolve of this.#waiting.values()) resolve(null);
    this.#waiting.clear();
  }

  close() {
    this.#child.kill("SIGKILL");
  }

  /** @param {string} name @param {number} type */
  async #query(name, type) {
    const flags = Buffer.concat([u16(RECURSION_DESIRED), u16(1), u16(0), u16(0), u16(0)]);
    for (;;) {
      const message = Buffer.concat([this.#takeId(), flags, nameOctets(name), u16(type), u16(CLASS.IN)]);
      const answer = await this.#ask(message);
      if (answer === null) return [];
      if ((answer.readUInt16BE(2) & TRUNCATED) === 0) return dnsPacket.decode(answer).answers ?? [];
      // Twenty of one question a second are answered over UDP on a LAN; a fast machine gets further than that.
      await setTimeout(RATE_REST_MS);
    }
  }

  #takeId() {
    const id = u16(this.#nextId);
    this.#nextId = (this.#nextId + 1) % 0x10000;
    return id;
  }

  /** @param {Buffer} message @returns {Promise<Buffer | null>} */
  #ask(message) {
    if (message.length < HEADER_OCTETS) throw new Error("no message");
    if (this.#gone) return Promise.resolve(null);
    const hex = message.toString("hex");
    return new Promise((resolve) => {
      this.#waiting.set(hex.slice(0, 4), resolve);
      this.#child.stdin?.write(`${JSON.stringify({ server: this.#server, hex })}\n`);
    });
  }
}
