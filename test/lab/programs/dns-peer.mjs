// One end of a DNS conversation, inside a namespace: octets to a server and back, or a server of the built codec's for clients.
import { createSocket } from "node:dgram";
import { createServer, connect } from "node:net";
import { built, obey } from "./driven.mjs";

const { decodeMessage } = await built("protocols/dns/decode");
const { encodeMessage } = await built("protocols/dns/encode");
const { readUpdate } = await built("protocols/dns/update");
const { recordFromText } = await built("protocols/dns/rdata/index");
const { signFailure, signResponse, tsigKey, verifyRequest } = await built("protocols/dns/tsig");
const { signStream } = await built("protocols/dns/tsig-stream");
const { parseName } = await built("lib/domain-name");

const HOST = "127.0.0.1";
const PATIENCE_MS = 5000;
const TYPE = { SOA: 6, AXFR: 252 };
const UPDATE = 5;

/** @param {{ port: number; bytes: string }} args */
function askUdp({ port, bytes }) {
  const socket = createSocket("udp4");
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("no answer")), PATIENCE_MS);
    socket.on("message", (answer) => {
      clearTimeout(timer);
      socket.close();
      resolve([answer.toString("hex")]);
    });
    socket.send(Buffer.from(bytes, "hex"), port, HOST);
  });
}

/** As many messages as are waited for. @param {{ port: number; bytes: string; messages: number }} args */
function askTcp({ port, bytes, messages }) {
  return new Promise((resolve, reject) => {
    /** @type {string[]} */
    const answers = [];
    const socket = connect(port, HOST, () => socket.write(framed(Buffer.from(bytes, "hex"))));
    const timer = setTimeout(() => socket.destroy(new Error(`${answers.length} answers only`)), PATIENCE_MS);
    readFrames(socket, (answer) => {
      answers.push(answer.toString("hex"));
      if (answers.length < messages) return;
      clearTimeout(timer);
      socket.destroy();
      resolve(answers);
    });
    socket.on("error", reject);
  });
}

/** @param {Uint8Array} bytes */
const framed = (bytes) => Buffer.concat([Buffer.of(bytes.length >>> 8, bytes.length & 0xff), bytes]);

/** @param {import("node:net").Socket} socket @param {(bytes: Buffer) => void} take */
function readFrames(socket, take) {
  let rest = Buffer.alloc(0);
  socket.on("data", (data) => {
    rest = Buffer.concat([rest, data]);
    while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
      const end = 2 + rest.readUInt16BE(0);
      take(rest.subarray(2, end));
      rest = rest.subarray(end);
    }
  });
}

/** What was asked for in updates. @type {unknown[]} */
let updates = [];

/**
 * A server that knows one key and one zone: it answers, signs and refuses, and stores nothing.
 * @param {{ port: number; key: string; secret: string; zone: string; clock: number }} args `clock`: seconds ours is ahead
 */
async function serve({ port, key: keyText, secret, zone, clock }) {
  const key = tsigKey(parseName(keyText).key, Buffer.from(secret, "base64"));
  const now = () => Math.floor(Date.now() / 1000) + clock;
  const soa = { name: zone, type: "SOA", ttl: 5, value: `ns.${zone} admin.${zone} 7 3600 600 86400 5` };

  /** @param {Buffer} bytes @returns {Uint8Array[]} */
  const answersTo = (bytes) => {
    const { message, tsig } = decodeMessage(bytes);
    const verdict = verifyRequest(bytes, tsig, (/** @type {string} */ name) => (name === key.name ? key : null), now());
    const answer = { ...message, response: true, answers: [], authorities: [], additionals: [], edns: null };
    if (verdict.kind === "failed") {
      const rcode = verdict.error === "FORMERR" ? 1 : 9;
      return [signFailure(encodeMessage({ ...answer, rcode }), verdict, now())];
    }
    if (verdict.kind === "unsigned") return [encodeMessage({ ...answer, rcode: 5 })];
    if (message.opcode === UPDATE) updates.push(readUpdate(message));
    if (message.questions[0].type === TYPE.AXFR) return transfer(answer, verdict);
    const answers = message.opcode === UPDATE ? [] : [recordFromText(soa)];
    return [signResponse(encodeMessage({ ...answer, authoritative: true, answers }), verdict, now())];
  };
  /** In three messages. If the ID is odd, the second is not what was signed: dig lets its user choose it. @param {any} answer @param {any} verdict */
  const transfer = (answer, verdict) => {
    const records = Array.from({ length: 40 }, (_, index) =>
      recordFromText({ name: `h${index}.${zone}`, type: "A", ttl: 60, value: `10.0.0.${index}` }),
    );
    const next = signStream(verdict);
    const parts = [[recordFromText(soa), ...records.slice(0, 20)], records.slice(20), [recordFromText(soa)]];
    const signed = parts.map((answers) => next(encodeMessage({ ...answer, authoritative: true, answers }), now()));
    if (answer.id % 2 === 1) signed[1]?.fill(9, 100, 101);
    return signed;
  };

  const udp = createSocket("udp4");
  udp.on("message", (bytes, from) => {
    for (const answer of answersTo(bytes)) udp.send(answer, from.port, from.address);
  });
  await new Promise((resolve) => udp.bind(port, HOST, () => resolve(undefined)));
  const tcp = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    readFrames(socket, (bytes) => {
      for (const answer of answersTo(bytes)) socket.write(framed(answer));
    });
  });
  await new Promise((resolve) => tcp.listen(port, HOST, () => resolve(undefined)));
}

function heard() {
  const said = updates;
  updates = [];
  return said;
}

obey({ askUdp, askTcp, serve, heard }, async () => undefined);
