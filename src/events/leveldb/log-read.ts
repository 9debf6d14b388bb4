import type { Seq } from "../envelope.ts";
import type { PortreeveRecord } from "../index.ts";
import type { LogHead } from "../log.ts";
import type { Archive } from "./archive.ts";
import { readChain } from "./chain.ts";
import type { Storage } from "./storage.ts";

export interface LogSource {
  readonly storage: () => Promise<Storage>;
  readonly archive: Archive;
  /** Moves on when the log is compacted. */
  readonly base: () => LogHead;
}

export interface ReadRange {
  readonly after: Seq;
  readonly to: Seq;
  readonly head: LogHead;
}

/** Records from the archive as far as they have left the log, then from the log, as one chain. */
export async function* readAll(source: LogSource, { after, to, head }: ReadRange): AsyncGenerator<PortreeveRecord> {
  let last = after;
  for (;;) {
    const base = source.base();
    try {
      const archived = last < base.seq && last < to;
      const records = archived
        ? source.archive.read({ after: last, to, base })
        : readChain(source.storage, { after: last, to, base, head });
      for await (const record of records) {
        last = record.seq;
        yield record;
      }
      if (!archived || last >= to) return;
    } catch (cause) {
      // Compacted under a slow reader: what it wants next is in the archive by now.
      if (source.base().seq <= Math.max(base.seq, last)) throw cause;
    }
  }
}
