// The DNS forwarder by itself, on loopback: a port for each view, UDP and TCP. What it is to do comes as JSON in argv.
import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import { built } from "./driven.mjs";

const { SystemClock } = await built("adapters/clock/system-clock");
const { createForwarder } = await built("adapters/dns-server/thread/forwarder/forwarder");

/** @type {{ views: { id: string; port: number; servers: string[] }[]; authorities: string[] }} */
const { views, authorities } = JSON.parse(process.argv[2] ?? "{}");
const clock = new SystemClock(null);
const log = (/** @type {string} */ message) => console.error(message);
const forwarder = createForwarder({ clock, upstreams: "system", rebindingAllow: [], authorities, log });
forwarder.configure({
  views: views.map(({ id, servers }) => ({ id, upstreams: { mode: "custom", servers } })),
  listeners: views.map(({ port }) => ({ address: "127.0.0.1", port })),
  prefixes: [],
});

for (const { id, port } of views) {
  const udp = createSocket("udp4");
  udp.on("message", async (query, peer) => {
    udp.send(await forwarder.resolve(query, id, { transport: "udp" }), peer.port, peer.address);
  });
  await new Promise((resolve) => udp.bind(port, "127.0.0.1", () => resolve(undefined)));
  const tcp = createServer((socket) => {
    let held = Buffer.alloc(0);
    socket.on("error", () => undefined);
    socket.on("data", async (chunk) => {
      held = Buffer.concat([held, chunk]);
      if (held.length < 2 || held.length < 2 + held.readUInt16BE(0)) return;
      const reply = await forwarder.resolve(held.subarray(2), id, { transport: "tcp" });
      socket.end(Buffer.concat([Buffer.from([reply.length >> 8, reply.length & 0xff]), reply]));
    });
  });
  await new Promise((resolve) => tcp.listen(port, "127.0.0.1", () => resolve(undefined)));
}
console.log("ready");
