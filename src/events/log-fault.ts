import { PortreeveError } from "../lib/errors.ts";
import type { Seq } from "./envelope.ts";

/**
 * What mends a log. `salvage`: make a whole one of what can be read. `accept`: the log is whole as far as it goes, and
 * an operator can confirm that it is to go on from there. `upgrade`: run the version that wrote it. `restore`: its bytes
 * are whole, but no state follows from them: go back to one that was saved.
 */
export type Remedy = "salvage" | "accept" | "upgrade" | "restore";

interface FaultOptions {
  readonly cause?: unknown;
  readonly remedy?: Remedy;
}

export type FaultCode = "LOG_CORRUPT" | "LOG_RESTORED" | "LOG_NEWER_VERSION";
const REMEDIES = { LOG_CORRUPT: "salvage", LOG_RESTORED: "accept", LOG_NEWER_VERSION: "upgrade" } as const;

/** The log cannot be trusted, or not be understood, from record `seq` on. What is read before it is good. */
export class LogFault extends PortreeveError {
  readonly seq: Seq;
  readonly remedy: Remedy;

  constructor(code: FaultCode, seq: Seq, message: string, { cause, remedy }: FaultOptions = {}) {
    super(code, message, "fatal", { cause });
    this.seq = seq;
    this.remedy = remedy ?? REMEDIES[code];
  }
}

/** The log is whole as far as it goes, and acknowledged records may be missing after it. */
export const tailLost = (seq: Seq, message: string): LogFault =>
  new LogFault("LOG_CORRUPT", seq, message, { remedy: "accept" });

export const corrupt = (seq: Seq, message: string, cause?: unknown): LogFault =>
  new LogFault("LOG_CORRUPT", seq, message, { cause });

/** A bug of ours, now or when it was written: the record is whole, and does not fit what comes before it. */
export const unfoldable = (seq: Seq, message: string, cause: unknown): LogFault =>
  new LogFault("LOG_CORRUPT", seq, message, { cause, remedy: "restore" });

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
