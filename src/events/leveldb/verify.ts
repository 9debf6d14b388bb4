import type { Seq } from "../envelope.ts";
import type { LogHead } from "../log.ts";
import { LogFault, type Remedy } from "../log-fault.ts";
import { copyForReading, type LogCopy } from "./log-copy.ts";

export interface LogVerdict {
  readonly ok: boolean;
  /** The last record there is; null if the log cannot be opened at all. */
  readonly head: LogHead | null;
  /** Records up to this one are neither in the log nor in the archive, as far as is known. */
  readonly after: Seq;
  /** The last record of those that were read and found good. */
  readonly records: number;
  /** As `LogCopy` has it. */
  readonly witnessAhead: Seq | null;
  readonly fault?: { readonly code: string; readonly seq: Seq; readonly message: string; readonly remedy: Remedy };
}

/** Reads every record of a data directory's log, on a copy. Rejects only if there is no log or it cannot be copied. */
export async function verifyLog(dataDir: string): Promise<LogVerdict> {
  let copy: LogCopy | null = null;
  let after = 0;
  let records = 0;
  try {
    copy = await copyForReading(dataDir);
    after = await copy.readableAfter();
    records = after;
    for await (const { seq } of copy.read(after)) records = seq;
    return { ok: true, head: copy.head, after, records, witnessAhead: copy.witnessAhead };
  } catch (cause) {
    if (!(cause instanceof LogFault)) throw cause;
    const { code, seq, message, remedy } = cause;
    const { head, witnessAhead } = copy ?? { head: null, witnessAhead: null };
    return { ok: false, head, after, records, witnessAhead, fault: { code, seq, message, remedy } };
  } finally {
    await copy?.close();
  }
}
