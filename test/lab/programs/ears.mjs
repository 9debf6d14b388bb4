// UDP ports that only listen, also to a multicast group: announcements and Mapping Updates arrive there.
import { createSocket } from "node:dgram";
import { decodeReply, PORT } from "./pcp-wire.mjs";

/** @type {Map<string, { socket: import("node:dgram").Socket; heard: unknown[]; since: number }>} */
const ears = new Map();

/** @param {{ ear: string; port: number; group?: string; local?: string }} request */
export async function listenUp({ ear, port, group, local }) {
  const socket = createSocket({ type: group?.includes(":") ? "udp6" : "udp4", reuseAddr: true });
  const since = performance.now();
  /** @type {unknown[]} */
  const heard = [];
  socket.on("message", (bytes, from) => {
    heard.push({
      ...decodeReply(bytes),
      hex: bytes.toString("hex"),
      from: from.address,
      afterMs: performance.now() - since,
    });
  });
  socket.on("error", () => undefined);
  await new Promise((resolve) => socket.bind({ port }, () => resolve(undefined)));
  if (group !== undefined) socket.addMembership(group, local);
  ears.set(ear, { socket, heard, since });
  return socket.address().port;
}

/** Sends from an ear's own port, so that what the server sends later comes here. @param {{ ear: string; server: string; hex: string }} request */
export async function sendFromEar({ ear, server, hex }) {
  ears.get(ear)?.socket.send(Buffer.from(hex, "hex"), PORT, server);
}

/** @param {{ ear: string }} request */
export async function heard({ ear }) {
  return ears.get(ear)?.heard ?? [];
}
