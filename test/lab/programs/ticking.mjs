// A TCP stream that never rests: each line has a number and the instant it was said at, and comes back from an echo
// server. Whoever listens to it knows how long it stood still, and how much of that was this process's own doing.
import { connect } from "node:net";

const EVERY_MS = 20;
/** For what is under way when it is stopped. */
const LAST_WORDS_MS = 5000;

class Ticking {
  said = 0;
  heard = 0;
  inOrder = true;
  stalledMs = 0;
  /** @type {string | null} */
  failure = null;
  #pending = "";
  /** Of the last line that came back. */
  #last = { heardAt: performance.now(), saidAt: performance.now() };
  #tickedAt = performance.now();
  /** The longest that no tick came since the last line: then nobody here could listen either. */
  #heldUp = 0;
  #timer;

  /** @param {import("node:net").Socket} socket */
  constructor(socket) {
    this.socket = socket.setEncoding("utf8");
    socket.on("data", (piece) => this.#hear(String(piece)));
    socket.on("error", (error) => this.#fail(error.message));
    socket.on("close", () => this.#fail("closed"));
    this.#timer = setInterval(() => this.#say(), EVERY_MS);
  }

  #say() {
    const now = performance.now();
    this.#heldUp = Math.max(this.#heldUp, now - this.#tickedAt - EVERY_MS);
    this.#tickedAt = now;
    this.said += 1;
    this.socket.write(`${this.said} ${now}\n`);
  }

  /** An answer is "name|peer|what was said". @param {string} piece */
  #hear(piece) {
    const now = performance.now();
    this.#heldUp = Math.max(this.#heldUp, now - this.#tickedAt - EVERY_MS);
    const lines = (this.#pending + piece).split("\n");
    this.#pending = lines.pop() ?? "";
    for (const line of lines) {
      const [number, saidAt] = (line.split("|")[2] ?? "").split(" ").map(Number);
      this.heard += 1;
      if (number !== this.heard || saidAt === undefined) this.inOrder = false;
      const stood = now - this.#last.heardAt - ((saidAt ?? now) - this.#last.saidAt);
      this.stalledMs = Math.max(this.stalledMs, stood - this.#heldUp);
      this.#last = { heardAt: now, saidAt: saidAt ?? now };
      this.#heldUp = 0;
    }
  }

  /** @param {string} why */
  #fail(why) {
    this.failure ??= why;
    clearInterval(this.#timer);
  }

  async stop() {
    clearInterval(this.#timer);
    const until = performance.now() + LAST_WORDS_MS;
    while (this.heard < this.said && this.failure === null && performance.now() < until)
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    const { said, heard, inOrder, stalledMs, failure } = this;
    this.socket.removeAllListeners("close").destroy();
    return { said, heard, inOrder, stalledMs, failure };
  }
}

/** @type {Map<string, Ticking>} */
const streams = new Map();

/** Resolves once the first line is back. @param {{ stream: string; host: string; port: number; timeoutMs?: number }} target */
export async function startTicking({ stream, host, port, timeoutMs = 5000 }) {
  const socket = connect({ host, port, noDelay: true });
  await new Promise((resolve, reject) => {
    socket.setTimeout(timeoutMs, () => reject(new Error("timeout"))).once("error", reject);
    socket.once("connect", resolve);
  });
  socket.setTimeout(0).removeAllListeners("error");
  streams.set(stream, new Ticking(socket));
}

/** @param {{ stream: string }} request */
export async function stopTicking({ stream }) {
  const ticking = streams.get(stream);
  if (ticking === undefined) throw new Error(`there is no stream ${stream}`);
  streams.delete(stream);
  return await ticking.stop();
}
