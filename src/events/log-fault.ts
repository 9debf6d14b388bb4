import { PortreeveError } from "../lib/errors.ts";
import type { Seq } from "./envelope.ts";

/** The log cannot be trusted, or not be understood, from record `seq` on. What is read before it is good. */
export class LogFault extends PortreeveError {
  readonly seq: Seq;

  constructor(code: "LOG_CORRUPT" | "LOG_NEWER_VERSION", seq: Seq, message: string, options?: { cause?: unknown }) {
    super(code, message, "fatal", options);
    this.seq = seq;
  }
}

export const corrupt = (seq: Seq, message: string, cause?: unknown): LogFault =>
  new LogFault("LOG_CORRUPT", seq, message, { cause });

export const movedOn = (expected: Seq, head: Seq): PortreeveError =>
  new PortreeveError(
    "LOG_REVISION_CONFLICT",
    `the log is at record ${head}, not at ${expected} any more: read it again and decide again`,
    "conflict",
  );

export const logClosed = (): PortreeveError =>
  new PortreeveError("LOG_WRITE_FAILED", "the event log is closed", "terminal");

/** Nothing was acknowledged; asking again later may succeed. */
export const writeFailed = (message: string, cause?: unknown): PortreeveError =>
  new PortreeveError("LOG_WRITE_FAILED", message, "transient", { cause });
