import { Worker } from "node:worker_threads";
import type { Seq } from "../events/envelope.ts";
import type { LogHead } from "../events/log.ts";
import { type FaultCode, LogFault } from "../events/log-fault.ts";
import { type ErrorCode, PortreeveError } from "../lib/errors.ts";

export interface LogRange {
  readonly dataDir: string;
  readonly base: LogHead;
  readonly head: LogHead;
}

export type LogCheckMessage =
  | { readonly type: "progress"; readonly through: Seq }
  | { readonly type: "ok" }
  | { readonly type: "fault"; readonly code: FaultCode; readonly seq: Seq; readonly message: string }
  | { readonly type: "failed"; readonly code: ErrorCode; readonly message: string };

/** A page of records, a table and a write-ahead log are a few megabytes each. */
const HEAP_MB = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4 };

/**
 * Checks a log that is open here, in a thread of its own: no request waits for it, and what it needs of memory is
 * bounded and given back. Rejects with the `LogFault` that it finds.
 */
export function checkInThread(range: LogRange, onProgress: (through: Seq) => void, signal: AbortSignal): Promise<void> {
  const worker = new Worker(new URL("./log-check-worker.js", import.meta.url), {
    workerData: range,
    resourceLimits: HEAP_MB,
  });
  const stop = (): void => void worker.terminate();
  signal.addEventListener("abort", stop);
  const broken = (cause?: Error): PortreeveError =>
    new PortreeveError(
      "UNAVAILABLE",
      `the check of the log broke off${cause ? `: ${cause.message}` : ""}`,
      "transient",
    );
  const done = new Promise<void>((resolve, reject) => {
    worker.on("message", (message: LogCheckMessage) => {
      if (message.type === "progress") onProgress(message.through);
      else if (message.type === "ok") resolve();
      else if (message.type === "fault") reject(new LogFault(message.code, message.seq, message.message));
      else reject(new PortreeveError(message.code, message.message, "transient"));
    });
    worker.once("error", (cause) => reject(broken(cause)));
    worker.once("exit", () => reject(broken()));
  });
  return done.finally(() => signal.removeEventListener("abort", stop));
}
