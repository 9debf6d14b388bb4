// One UDP socket in a client's namespace, driven over standard input. Each line asks `{ id, server, hex }` and is
// answered by `{ id, hex }`; an ask is resent until it is answered or `{ forget: true }` comes: the daemon is dead.
import { createSocket } from "node:dgram";
import { createInterface } from "node:readline";

const PORT = 5351; // RFC 6887 §19.1
/** Short: nobody here is far away, and a daemon that comes up must be asked again at once. */
const RESEND_MS = 100;

/** Asks by what their answer begins with after the header: replies carry no id of ours. */
/** @type {Map<string, { id: number; timer: NodeJS.Timeout }>} */
const waiting = new Map();
const socket = createSocket("udp4");
socket.on("error", () => undefined); // ICMP port unreachable: it is asked again

/** What a reply has in common with its request. @param {Buffer} bytes */
function identityOf(bytes) {
  const opcode = (bytes[1] ?? 0) & 0x7f; // RFC 6887 §7.2, RFC 6886 §3.5: the rest says request or reply
  if (bytes[0] === 2) return `pcp ${opcode} ${bytes.subarray(24, 36).toString("hex")} ${bytes.readUInt16BE(40)}`;
  // RFC 6886 §3.3: the internal port is at byte 4 of a request and at byte 8 of a reply.
  return `natpmp ${opcode} ${bytes.readUInt16BE(bytes.length > 12 ? 8 : 4)}`;
}

socket.on("message", (bytes) => {
  if (bytes.length < 16) return;
  const key = identityOf(bytes);
  const asked = waiting.get(key);
  if (asked === undefined) return;
  clearInterval(asked.timer);
  waiting.delete(key);
  process.stdout.write(`${JSON.stringify({ id: asked.id, hex: bytes.toString("hex") })}\n`);
});

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const { id, server, hex, forget } = JSON.parse(line);
  if (forget === true) {
    for (const { timer } of waiting.values()) clearInterval(timer);
    waiting.clear();
    return;
  }
  const bytes = Buffer.from(hex, "hex");
  const send = () => socket.send(bytes, PORT, server);
  waiting.set(identityOf(bytes), { id, timer: setInterval(send, RESEND_MS) });
  send();
});
lines.on("close", () => process.exit(0));
socket.bind(0, () => process.stdout.write(`${JSON.stringify({ id: 0 })}\n`));
