// A UPnP control point that says what it is told to, whatever that is, and hears what comes.
import { createSocket } from "node:dgram";
import { createServer, request } from "node:http";
import { connect } from "node:net";
import { obey } from "./driven.mjs";

const GROUP = "239.255.255.250";
const SSDP_PORT = 1900;

/** @type {import("node:http").Server | null} */
let events = null;
/** @type {{ headers: Record<string, unknown>; body: string }[]} */
const received = [];
/** @type {import("node:dgram").Socket | null} */
let ear = null;
/** @type {string[]} */
const announcements = [];
let datagrams = 0;

const operations = {
  /** @param {{ host: string; port: number; method: string; path: string; headers: Record<string, string>; body: string }} asked */
  http: ({ host, port, method, path, headers, body }) =>
    new Promise((resolve) => {
      const sent = request({ host, port, method, path, headers, agent: false, timeout: 8000 }, (said) => {
        let text = "";
        said.setEncoding("utf8").on("data", (piece) => (text += piece));
        said.on("end", () => resolve({ status: said.statusCode, headers: said.headers, body: text }));
        said.on("error", (cause) => resolve({ status: 0, headers: {}, body: cause.message }));
      });
      sent.on("timeout", () => sent.destroy(new Error("timeout")));
      sent.on("error", (cause) => resolve({ status: 0, headers: {}, body: cause.message }));
      sent.end(body);
    }),
  /**
   * Subscribes so many times, each time with a callback at another port, sixteen in flight; how many got which status.
   * @param {{ host: string; port: number; callback: string; count: number }} asked
   */
  subscribeMany: async ({ host, port, callback, count }) => {
    /** @type {Record<number, number>} */
    const seen = {};
    let next = 0;
    const one = async () => {
      while (next < count) {
        const headers = { CALLBACK: `<http://${callback}:${2000 + next++}/>`, NT: "upnp:event", TIMEOUT: "Second-300" };
        const asked = { host, port, method: "SUBSCRIBE", path: "/evt/IPConn", headers, body: "" };
        const { status } = /** @type {{ status: number }} */ (await operations.http(asked));
        seen[status] = (seen[status] ?? 0) + 1;
      }
    };
    await Promise.all(Array.from({ length: 16 }, one));
    return seen;
  },
  /** Octets as they are; resolves with what came until the other side closed. @param {{ host: string; port: number; text: string }} asked */
  raw: ({ host, port, text }) =>
    new Promise((resolve) => {
      let said = "";
      const socket = connect({ host, port }, () => socket.write(text));
      socket.setTimeout(20_000, () => socket.destroy());
      socket.on("data", (piece) => (said += piece));
      socket.on("error", () => undefined);
      socket.on("close", () => resolve(said));
    }),
  /** Opens so many connections and says nothing on them; resolves with how many stay open. @param {{ host: string; port: number; count: number }} asked */
  hold: async ({ host, port, count }) => {
    const sockets = Array.from({ length: count }, () => connect({ host, port }));
    for (const socket of sockets) socket.on("error", () => undefined);
    await new Promise((resolve) => setTimeout(resolve, 300));
    return sockets.filter((socket) => !socket.destroyed && !socket.connecting && socket.readable).length;
  },
  /** @param {{ port: number }} asked */
  hearUdp: ({ port }) =>
    new Promise((resolve, reject) => {
      const socket = createSocket("udp4")
        .on("message", () => (datagrams += 1))
        .on("error", reject);
      socket.bind(port, () => resolve(null));
    }),
  /** @param {{ waitMs: number }} asked */
  heardUdp: async ({ waitMs }) => {
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    return datagrams;
  },
  /** Sends a message so many times and gathers what comes back. @param {{ to?: string; message: string; count?: number; waitMs: number }} asked */
  search: ({ to = GROUP, message, count = 1, waitMs }) =>
    new Promise((resolve, reject) => {
      const socket = createSocket("udp4");
      /** @type {{ from: string; port: number; text: string }[]} */
      const answers = [];
      socket.on("error", reject);
      socket.on("message", (bytes, { address, port }) => answers.push({ from: address, port, text: bytes.toString() }));
      socket.bind(0, () => {
        for (let each = 0; each < count; each += 1) socket.send(message, SSDP_PORT, to, () => undefined);
        setTimeout(() => socket.close(() => resolve(answers)), waitMs);
      });
    }),
  /** @param {{ address: string }} where */
  hear: ({ address }) =>
    new Promise((resolve, reject) => {
      const socket = createSocket({ type: "udp4", reuseAddr: true });
      ear = socket;
      socket.on("error", reject);
      socket.on("message", (bytes) => announcements.push(bytes.toString()));
      socket.bind(SSDP_PORT, GROUP, () => {
        socket.addMembership(GROUP, address);
        resolve(null);
      });
    }),
  announced: () => announcements,
  /** @param {{ port: number }} where */
  listen: ({ port }) =>
    new Promise((resolve) => {
      events = createServer((asked, answer) => {
        let body = "";
        asked.setEncoding("utf8").on("data", (piece) => (body += piece));
        asked.on("end", () => {
          received.push({ headers: { method: asked.method, url: asked.url, ...asked.headers }, body });
          answer.end();
        });
      }).listen(port, () => resolve(null));
    }),
  received: () => received,
};

obey(operations, async () => {
  events?.close();
  ear?.close();
});
