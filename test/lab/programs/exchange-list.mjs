// Sends datagrams one after another, each from a socket of its own, and prints what came back: hex, or null for silence.
// Standard input: { server, port, requests: hex[] }.
import { createSocket } from "node:dgram";
import { text } from "node:stream/consumers";

/** How long silence must last. Sent twice before it counts: a server may be busy, a network in memory loses nothing. */
const WAITS_MS = [250, 750];

const { server, port, requests } = JSON.parse(await text(process.stdin));
const replies = [];
for (const hex of requests) replies.push(await exchange(Buffer.from(hex, "hex")));
process.stdout.write(JSON.stringify(replies));

/** @param {Buffer} bytes @returns {Promise<string | null>} */
async function exchange(bytes) {
  const socket = createSocket("udp4");
  try {
    const reply = new Promise((resolve) => socket.once("message", (message) => resolve(message.toString("hex"))));
    for (const waitMs of WAITS_MS) {
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
