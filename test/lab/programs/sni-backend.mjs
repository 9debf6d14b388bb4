// A backend of its own name: HTTPS on one port, and on another a program that says its name as soon as it is spoken to.
import { createServer } from "node:https";
import { createServer as createPlainServer } from "node:net";
import { readFileSync } from "node:fs";
import { obey } from "./driven.mjs";
import { piece } from "./sni-content.mjs";

const [, , name = "", folder = "", tlsPort = "443", paceMs = "10", rawPort = "9000"] = process.argv;
let dialled = 0;
/** "/pieces/endless" ends then. */
let finishing = false;
let paused = false;

const https = createServer(
  { key: readFileSync(`${folder}/${name}.key`), cert: readFileSync(`${folder}/${name}.crt`) },
  async (request, response) => {
    const wanted = /^\/pieces\/(\d+|endless)$/.exec(request.url ?? "")?.[1];
    if (wanted === undefined) {
      response.end(JSON.stringify({ name, from: request.socket.remoteAddress, port: request.socket.remotePort }));
      return;
    }
    const more = (/** @type {number} */ index) => (wanted === "endless" ? !finishing : index < Number(wanted));
    for (let index = 0; more(index) && !response.destroyed; index += 1) {
      if (!paused) response.write(piece(name, index));
      await new Promise((resolve) => setTimeout(resolve, Number(paceMs)));
    }
    response.end();
  },
);
https.on("tlsClientError", () => undefined);
https.listen(Number(tlsPort), "0.0.0.0");

const raw = createPlainServer((socket) => {
  dialled += 1;
  socket.on("error", () => undefined);
  socket.once("data", () => socket.end(name));
});
raw.listen(Number(rawPort), "0.0.0.0");

const finish = () => {
  finishing = true;
  paused = false;
};
const pause = () => {
  paused = true;
};
obey({ dialled: () => dialled, pause, finish }, async () => {
  https.closeAllConnections();
  https.close();
  raw.close();
});
