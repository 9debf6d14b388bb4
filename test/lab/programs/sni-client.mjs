// Clients of a shared TLS port, in a namespace.
import { createHash } from "node:crypto";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { obey } from "./driven.mjs";

/** @typedef {{ address: string, port: number }} Place */

/** @param {Place & { bytes: string, size?: number, everyMs?: number }} attempt Its bytes, as base64, so many at a time. */
function say({ address, port, bytes, size = 1 << 20, everyMs = 0 }) {
  const all = Buffer.from(bytes, "base64");
  const began = performance.now();
  return new Promise((resolve) => {
    let heard = "";
    const socket = connect({ host: address, port, noDelay: true });
    const end = (/** @type {string} */ how) => resolve({ heard, how, ms: Math.round(performance.now() - began) });
    socket.setEncoding("latin1");
    socket.on("data", (text) => {
      heard += text;
    });
    socket.on("error", (error) => end(/** @type {NodeJS.ErrnoException} */ (error).code ?? "error"));
    socket.on("end", () => socket.end());
    socket.on("close", () => end("closed"));
    socket.on("connect", async () => {
      for (let at = 0; at < all.length && !socket.destroyed; at += size) {
        socket.write(all.subarray(at, at + size));
        await new Promise((next) => (everyMs === 0 ? setImmediate(next) : setTimeout(next, everyMs)));
      }
    });
  });
}

/**
 * The digest of what is under a path, and who sent it.
 * @param {Place & { name: string, path: string }} request
 * @param {() => void} [onConnected]
 */
function fetchPath({ address, port, name, path }, onConnected = () => undefined) {
  return new Promise((resolve, reject) => {
    const hash = createHash("sha256");
    let head = "";
    let body = "";
    let octets = 0;
    const socket = connectTls({ host: address, port, servername: name, rejectUnauthorized: false });
    let certificate = "";
    socket.on("secureConnect", () => {
      certificate = String(socket.getPeerCertificate().subject.CN);
      onConnected();
      socket.write(`GET ${path} HTTP/1.0\r\nHost: ${name}\r\n\r\n`);
    });
    let inBody = false;
    socket.on("data", (bytes) => {
      let piece = bytes;
      if (!inBody) {
        head += bytes.toString("latin1");
        const end = head.indexOf("\r\n\r\n");
        if (end < 0) return;
        inBody = true;
        piece = Buffer.from(head.slice(end + 4), "latin1");
      }
      hash.update(piece);
      octets += piece.length;
      if (body.length < 1024) body += piece.toString("latin1");
    });
    socket.on("error", reject);
    socket.on("end", () => resolve({ certificate, octets, digest: hash.digest("hex"), body: body.slice(0, 1024) }));
  });
}

/** @type {Promise<unknown>[]} */
const transfers = [];
/** @type {import("node:net").Socket[]} */
const held = [];

obey(
  {
    say,
    sayAll: ({ attempts }) => Promise.all(attempts.map(say)),
    fetch: (request) => fetchPath(request),
    /** Long ones that go on while other things are asked for; all are connected then. */
    begin: ({ requests }) =>
      Promise.all(
        requests.map(
          (/** @type {any} */ request) =>
            new Promise((resolve) => {
              transfers.push(fetchPath(request, () => resolve(true)));
            }),
        ),
      ),
    finish: () => Promise.all(transfers.splice(0)),
    /** Opens connections that say nothing; answers how many of them were refused at once. */
    hold: async ({ address, port, count, forMs }) => {
      let refused = 0;
      for (let index = 0; index < count; index += 1) {
        const socket = connect({ host: address, port });
        socket.on("error", () => undefined);
        socket.on("close", () => {
          refused += 1;
        });
        held.push(socket);
      }
      await new Promise((resolve) => setTimeout(resolve, forMs));
      return refused;
    },
    drop: () => {
      for (const socket of held.splice(0)) socket.destroy();
    },
    /** Whether anybody answers at all. */
    reaches: ({ address, port, withinMs }) =>
      new Promise((resolve) => {
        const socket = connect({ host: address, port });
        const timer = setTimeout(() => {
          socket.destroy();
          resolve(false);
        }, withinMs);
        socket.on("connect", () => {
          clearTimeout(timer);
          socket.destroy();
          resolve(true);
        });
        socket.on("error", () => {
          clearTimeout(timer);
          resolve(false);
        });
      }),
  },
  async () => undefined,
);
