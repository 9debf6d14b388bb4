// One UDP socket in a client's namespace, driven over standard input. Each line asks `{ server, hex }` and is answered by
// `{ hex }`, which begins with the same two octets: the ID. As nsupdate does, the same octets are sent again until they are
// answered or `{ forget: true }` comes: the daemon is dead.
import { createSocket } from "node:dgram";
import { createInterface } from "node:readline";

const PORT = 53;
const RESEND_MS = 1000;

/** @type {Map<string, NodeJS.Timeout>} */
const waiting = new Map();
const socket = createSocket("udp4");
socket.on("error", () => undefined); // ICMP port unreachable: it is asked again

socket.on("message", (bytes) => {
  const hex = bytes.toString("hex");
  const id = hex.slice(0, 4);
  const timer = waiting.get(id);
  if (timer === undefined) return;
  clearInterval(timer);
  waiting.delete(id);
  process.stdout.write(`${JSON.stringify({ hex })}\n`);
});

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const { server, hex, forget } = JSON.parse(line);
  if (forget === true) {
    for (const timer of waiting.values()) clearInterval(timer);
    waiting.clear();
    return;
  }
  const bytes = Buffer.from(hex, "hex");
  const send = () => socket.send(bytes, PORT, server);
  waiting.set(hex.slice(0, 4), setInterval(send, RESEND_MS));
  send();
});
lines.on("close", () => process.exit(0));
socket.bind(0);
