// Sends raw PCP or NAT-PMP from any source address and waits as the RFCs tell a client to.
import { createSocket } from "node:dgram";
import { PORT, decodeReply } from "./pcp-wire.mjs";

/**
 * One datagram, its answer or null. Resent after 250 ms, doubling, until `timeoutMs` (0: sent once, not waited for).
 * @param {{ server: string; hex: string; from?: string; port?: number; timeoutMs?: number }} request
 * @returns {Promise<import("./pcp-wire.mjs").Reply & { hex: string } | null>}
 */
export async function sendAndAwait({ server, hex, from, port = PORT, timeoutMs = 3000 }) {
  const socket = createSocket(server.includes(":") ? "udp6" : "udp4");
  const bytes = Buffer.from(hex, "hex");
  let resend;
  let timer;
  try {
    await new Promise((resolve) => socket.bind({ port: 0, address: from }, () => resolve(undefined)));
    return await new Promise((resolve) => {
      timer = setTimeout(() => resolve(null), timeoutMs);
      socket.on("error", () => resolve(null)); // ICMP port unreachable: nobody serves there
      socket.on("message", (message) => {
        const reply = decodeReply(message);
        if (reply !== null) resolve({ ...reply, hex: message.toString("hex") });
      });
      let waitMs = 250;
      const send = () => {
        socket.send(bytes, port, server);
        resend = setTimeout(send, waitMs);
        waitMs *= 2;
      };
      send();
    });
  } finally {
    clearTimeout(resend);
    clearTimeout(timer);
    socket.close();
  }
}
