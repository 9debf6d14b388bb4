// The client side of the lab's traffic: one exchange, long-lived TCP streams, and UDP peers that keep sending.
import { createSocket } from "node:dgram";
import { connect } from "node:net";

const TIMEOUT_MS = 1500;

/** @typedef {{ host: string; port: number; payload?: string; from?: string; fromPort?: number; timeoutMs?: number }} Target */

class LineStream {
  /** @param {import("node:net").Socket} socket */
  constructor(socket) {
    this.socket = socket.setEncoding("utf8");
    this.pending = "";
    /** @type {Error | null} */
    this.failure = null;
    this.wake = () => {};
    socket.on("data", (chunk) => {
      this.pending += chunk;
      this.wake();
    });
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("closed")));
  }

  /** @param {Error} error */
  #fail(error) {
    this.failure ??= error;
    this.wake();
  }

  /** Says a line and returns the next one that comes. @param {string} payload @param {number} timeoutMs */
  async ask(payload, timeoutMs) {
    this.socket.write(`${payload}\n`);
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const end = this.pending.indexOf("\n");
      if (end >= 0) {
        const line = this.pending.slice(0, end);
        this.pending = this.pending.slice(end + 1);
        return line;
      }
      if (this.failure !== null) throw this.failure;
      const left = deadline - Date.now();
      if (left <= 0) throw new Error("timeout");
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left);
        this.wake = () => {
          clearTimeout(timer);
          resolve(undefined);
        };
      });
    }
  }
}

/** @type {Map<string, LineStream>} */
const streams = new Map();
/** @type {Map<string, { answers: string[]; stop: () => { sent: number; answers: string[] } }>} */
const udpPeers = new Map();

/** @param {Target} target */
function dial({ host, port, from, fromPort }) {
  return new LineStream(
    connect({
      host,
      port,
      noDelay: true,
      ...(from === undefined ? {} : { localAddress: from }),
      ...(fromPort === undefined ? {} : { localPort: fromPort }),
    }),
  );
}

/** Connects, says one line, returns the line that comes back; rejects with why not. @param {Target} target */
export async function connectOnce(target) {
  const stream = dial(target);
  try {
    return await stream.ask(target.payload ?? "hello", target.timeoutMs ?? TIMEOUT_MS);
  } finally {
    stream.socket.destroy();
  }
}

/** @param {Target & { stream: string }} target */
export async function openStream(target) {
  const stream = dial(target);
  const answer = await stream.ask(target.payload ?? "hello", target.timeoutMs ?? TIMEOUT_MS);
  streams.set(target.stream, stream);
  return answer;
}

/** @param {{ stream: string; payload: string; timeoutMs?: number }} request */
export async function sayOnStream({ stream, payload, timeoutMs = TIMEOUT_MS }) {
  const open = streams.get(stream);
  if (open === undefined) throw new Error(`there is no stream ${stream}`);
  return await open.ask(payload, timeoutMs);
}

/** @param {{ stream: string }} request */
export async function closeStream({ stream }) {
  streams.get(stream)?.socket.destroy();
  streams.delete(stream);
}

/** @param {{ address?: string | undefined; port?: number | undefined; to: string }} local @returns {Promise<import("node:dgram").Socket>} */
function boundUdp({ address, port, to }) {
  const socket = createSocket({ type: to.includes(":") ? "udp6" : "udp4", reuseAddr: false });
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.bind({ address, port: port ?? 0 }, () => {
      socket.on("error", () => undefined); // ECONNREFUSED of an earlier datagram: silence is the answer
      resolve(socket);
    });
  });
}

/** Sends every 200 ms until one answer comes. @param {Target} target */
export async function udpExchange({ host, port, payload = "hello", from, fromPort, timeoutMs = TIMEOUT_MS }) {
  const socket = await boundUdp({ address: from, port: fromPort, to: host });
  let resend;
  let timer;
  try {
    return await new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(new Error("timeout")), timeoutMs);
      socket.once("message", (message) => resolve(message.toString("utf8")));
      const send = () => socket.send(payload, port, host);
      resend = setInterval(send, 200);
      send();
    });
  } finally {
    clearInterval(resend);
    clearTimeout(timer);
    socket.close();
  }
}

/** A peer that sends every 20 ms from one source port, answered or not. @param {Target & { peer: string }} target */
export async function udpStart({ peer, host, port, payload = "hello", from, fromPort }) {
  const socket = await boundUdp({ address: from, port: fromPort, to: host });
  let sent = 0;
  /** @type {string[]} */
  const answers = [];
  socket.on("message", (message) => {
    if (answers.length < 10_000) answers.push(message.toString("utf8"));
  });
  const timer = setInterval(() => {
    sent += 1;
    socket.send(`${payload} ${sent}`, port, host);
  }, 20);
  const stop = () => {
    clearInterval(timer);
    socket.close();
    return { sent, answers };
  };
  udpPeers.set(peer, { answers, stop });
}

/** What it was answered so far. @param {{ peer: string }} request */
export async function udpAnswers({ peer }) {
  return udpPeers.get(peer)?.answers ?? [];
}

/** @param {{ peer: string }} request */
export async function udpStop({ peer }) {
  const running = udpPeers.get(peer);
  udpPeers.delete(peer);
  return running?.stop() ?? { sent: 0, answers: [] };
}
