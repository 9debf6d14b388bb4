import { dataDirAt } from "../data-dir.ts";
import type { Seq } from "../envelope.ts";
import type { LogHead } from "../log.ts";
import { LogFault } from "../log-fault.ts";
import { readChain } from "./chain.ts";
import { StoreOnDisk } from "./files/store-on-disk.ts";
import { scanAllTables } from "./files/table-scan.ts";
import { baseOf, readGenesis } from "./genesis.ts";

/** Records between two pauses: some ten milliseconds of work. */
const RECORDS_AT_ONCE = 1000;

export interface DiskCheck {
  readonly dataDir: string;
  readonly base: LogHead;
  /** Records after it are not looked at. */
  readonly head: LogHead;
  readonly onProgress: (through: Seq) => void;
  readonly pause: () => Promise<void>;
}

/**
 * Checks every table and every record up to `head` of a log that its owner has open and goes on writing. Reads the files
 * and leaves LevelDB alone, which may not survive a damaged one. Throws the `LogFault` of the first that is not good.
 */
export async function checkOnDisk({ dataDir, base: began, head, onProgress, pause }: DiskCheck): Promise<void> {
  const dir = dataDirAt(dataDir);
  await scanAllTables(dir, pause);
  const store = new StoreOnDisk(dir.log);
  let base = began;
  let through = base.seq;
  let doubted: Seq | null = null;
  for (;;) {
    try {
      for await (const { seq } of readChain(async () => store, { after: through, to: head.seq, base, head })) {
        through = seq;
        if (seq % RECORDS_AT_ONCE !== 0) continue;
        onProgress(seq);
        await pause();
      }
      return;
    } catch (cause) {
      if (!(cause instanceof LogFault)) throw cause;
      store.forget();
      // What has left for the archive was checked on its way.
      const genesis = await readGenesis(store);
      if (genesis !== undefined) base = baseOf(genesis);
      if (base.seq >= head.seq) return;
      // Between two looks at the directory records may move from file to file; what is damaged is so at a second look too.
      if (base.seq <= through && doubted === cause.seq) throw cause;
      through = Math.max(through, base.seq);
      doubted = cause.seq;
    }
  }
}
