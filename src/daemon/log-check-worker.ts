import { setTimeout as sleep } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { checkOnDisk } from "../events/leveldb/disk-check.ts";
import { type FaultCode, LogFault } from "../events/log-fault.ts";
import { PortreeveError } from "../lib/errors.ts";
import type { LogCheckMessage, LogRange } from "./log-check.ts";

/** The entry point of the thread that `checkInThread` starts. */
const say = (message: LogCheckMessage): void => parentPort?.postMessage(message, []);

let began = performance.now();

/** As long as it worked, so that it takes no more than half of one core. */
async function pause(): Promise<void> {
  await sleep(performance.now() - began);
  began = performance.now();
}

try {
  await checkOnDisk({
    ...(workerData as LogRange),
    onProgress: (through) => say({ type: "progress", through }),
    pause,
  });
  say({ type: "ok" });
} catch (cause) {
  if (!(cause instanceof PortreeveError)) throw cause;
  const { code, message } = cause;
  if (cause instanceof LogFault) say({ type: "fault", code: cause.code as FaultCode, seq: cause.seq, message });
  else say({ type: "failed", code, message });
}
