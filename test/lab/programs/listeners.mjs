// Echo servers that say who they are and whom they saw: "name|address:port|payload".
import { createSocket } from "node:dgram";
import { createServer } from "node:net";

/** @type {Map<string, { close: () => void }>} */
const open = new Map();

/**
 * @param {{ name: string; tcp?: number[]; udp?: number[]; address?: string }} request
 */
export async function listen({ name, tcp = [], udp = [], address = "0.0.0.0" }) {
  await Promise.all([
    ...tcp.map((port) => listenTcp(name, port, address)),
    ...udp.map((port) => listenUdp(name, port, address)),
  ]);
}

/** @param {{ tcp?: number[]; udp?: number[] }} request */
export async function stopListening({ tcp = [], udp = [] }) {
  for (const name of [...tcp.map((port) => `tcp/${port}`), ...udp.map((port) => `udp/${port}`)]) {
    open.get(name)?.close();
    open.delete(name);
  }
}

/** @param {string} name @param {number} port @param {string} address @returns {Promise<void>} */
function listenTcp(name, port, address) {
  const server = createServer({ noDelay: true }, (socket) => {
    const peer = `${socket.remoteAddress}:${socket.remotePort}`;
    let pending = "";
    socket.setEncoding("utf8");
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk) => {
      pending += chunk;
      for (let end = pending.indexOf("\n"); end >= 0; end = pending.indexOf("\n")) {
        socket.write(`${name}|${peer}|${pending.slice(0, end)}\n`);
        pending = pending.slice(end + 1);
      }
    });
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, host: address, backlog: 4096 }, () => {
      open.set(`tcp/${port}`, server);
      resolve();
    });
  });
}

/** @param {string} name @param {number} port @param {string} address @returns {Promise<void>} */
function listenUdp(name, port, address) {
  const socket = createSocket({ type: address.includes(":") ? "udp6" : "udp4", recvBufferSize: 4 << 20 });
  socket.on("message", (payload, peer) => {
    socket.send(`${name}|${peer.address}:${peer.port}|${payload.toString("utf8")}`, peer.port, peer.address);
  });
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.bind({ port, address }, () => {
      open.set(`udp/${port}`, socket);
      resolve();
    });
  });
}
