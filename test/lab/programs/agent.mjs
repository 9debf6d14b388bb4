// One process inside a namespace that does what a test asks of that host: JSON lines in, JSON lines out.
import { createInterface } from "node:readline";
import { heard, listenUp, sendFromEar } from "./ears.mjs";
import {
  connectOnce,
  closeStream,
  openStream,
  sayOnStream,
  udpAnswers,
  udpExchange,
  udpStart,
  udpStop,
} from "./flows.mjs";
import { listen, stopListening } from "./listeners.mjs";
import { sendAndAwait } from "./pcp-socket.mjs";
import { startTicking, stopTicking } from "./ticking.mjs";

/** @type {Record<string, (args: any) => Promise<unknown>>} */
const OPERATIONS = {
  listen,
  stopListening,
  connectOnce,
  openStream,
  sayOnStream,
  closeStream,
  startTicking,
  stopTicking,
  udpExchange,
  udpAnswers,
  udpStart,
  udpStop,
  pcp: sendAndAwait,
  listenUp,
  sendFromEar,
  heard,
};

const lines = createInterface({ input: process.stdin });
lines.on("line", async (line) => {
  const { id, operation, args } = JSON.parse(line);
  let answer;
  try {
    const run = OPERATIONS[operation];
    if (run === undefined) throw new Error(`the agent cannot ${operation}`);
    answer = { id, value: (await run(args)) ?? null };
  } catch (error) {
    answer = { id, error: error instanceof Error ? error.message : String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
});
lines.on("close", () => process.exit(0));
process.stdout.write(`${JSON.stringify({ id: 0, value: "ready" })}\n`);
