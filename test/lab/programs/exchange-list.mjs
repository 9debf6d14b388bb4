// Sends datagrams one after another, each from a socket of its own, and prints what came back: hex, or null for silence.
// Standard input: { server, port, requests: hex[], waitsMs?: number[], tcp?: boolean }.
// DNS over TCP (RFC 1035 §4.2.2): a connection for each, and a close without an answer is silence.
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import { text } from "node:stream/consumers";

/** How long silence must last. Sent twice before it counts: a server may be busy, a network in memory loses nothing. */
const WAITS_MS = [250, 1000];

const { server, port, requests, waitsMs = WAITS_MS, tcp = false } = JSON.parse(await text(process.stdin));
const replies = [];
for (const hex of requests) replies.push(await (tcp ? overTcp : exchange)(Buffer.from(hex, "hex")));
process.stdout.write(JSON.stringify(replies));

/** @param {Buffer} bytes @returns {Promise<string | null>} */
async function exchange(bytes) {
  const socket = createSocket("udp4");
  try {
    const reply = new Promise((resolve) => socket.once("message", (message) => resolve(message.toString("hex"))));
    for (const waitMs of waitsMs) {
      socket.send(bytes, port, server);
      /** @type {NodeJS.Timeout | undefined} */
      let timer;
      const silence = new Promise((resolve) => {
        timer = setTimeout(resolve, waitMs, null);
      });
      const heard = await Promise.race([reply, silence]);
      clearTimeout(timer);
      if (heard !== null) return /** @type {string} */ (heard);
    }
    return null;
  } finally {
    socket.close();
  }
}

/** @param {Buffer} bytes @returns {Promise<string | null>} */
async function overTcp(bytes) {
  const socket = connect(port, server);
  socket.on("error", () => socket.destroy());
  socket.setTimeout(waitsMs.at(-1), () => socket.destroy());
  socket.write(Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]));
  let heard = Buffer.alloc(0);
  const whole = new Promise((resolve) => {
    socket.on("data", (chunk) => {
      heard = Buffer.concat([heard, chunk]);
      if (heard.length > 2 && heard.length >= 2 + heard.readUInt16BE(0)) resolve(heard.subarray(2).toString("hex"));
    });
    socket.once("close", () => resolve(null));
  });
  try {
    return await whole;
  } finally {
    socket.destroy();
  }
}
