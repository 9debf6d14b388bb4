import type { Seq } from "../envelope.ts";
import type { LogHead } from "../log.ts";
import { corrupt } from "../log-fault.ts";
import { hashOf, parseStored } from "../record.ts";
import type { Archive } from "./archive.ts";
import { type Genesis, genesisOp, withBase } from "./genesis.ts";
import { eventKey } from "./keys.ts";
import type { Storage, StorageOp } from "./storage.ts";

/** Records of one archive file: a few megabytes. */
const FILE_RECORDS = 10_000;
/** Copied or removed between two turns of the event loop. */
const PAGE = 250;

/**
 * Copies the records after `base` up to `to` into archive files, each record's chain checked, and gives what the log
 * begins after once they leave it. Nothing is taken out of the store.
 */
export async function archiveRecords(
  storage: () => Promise<Storage>,
  archive: Archive,
  base: LogHead,
  to: Seq,
): Promise<LogHead> {
  let { seq, hash } = base;
  while (seq < to) {
    const texts: string[] = [];
    const first = seq + 1;
    while (seq < to && texts.length < FILE_RECORDS) {
      const last = Math.min(to, seq + PAGE, first + FILE_RECORDS - 1);
      for (const [key, text] of await (await storage()).range(eventKey(seq + 1), eventKey(last), { limit: PAGE })) {
        if (key !== eventKey(seq + 1)) throw corrupt(seq + 1, `record ${seq + 1} is missing`);
        if (parseStored(seq + 1, text).prevHash !== hash) throw corrupt(seq, `record ${seq} was changed`);
        texts.push(text);
        seq += 1;
        hash = hashOf(text);
      }
      if (seq < last) throw corrupt(seq + 1, `record ${seq + 1} is missing`);
    }
    await archive.write(first, texts);
  }
  const after = await (await storage()).get(eventKey(seq + 1));
  if (after !== undefined && parseStored(seq + 1, after).prevHash !== hash)
    throw corrupt(seq, `record ${seq} was changed`);
  return { seq, hash };
}

/**
 * What to write to take out the next records up to `base`, oldest first; the first of these writes moves the base, and
 * one that never comes leaves records before the base that nobody reads. Null: they are all out.
 */
export async function removalOps(storage: Storage, genesis: Genesis, base: LogHead): Promise<StorageOp[] | null> {
  const page = await storage.range(eventKey(0), eventKey(base.seq), { limit: PAGE });
  const moved = (genesis.base?.seq ?? 0) >= base.seq;
  if (page.length === 0 && moved) return null;
  const deletions = page.map(([key]): StorageOp => ({ type: "del", key }));
  return moved ? deletions : [genesisOp(withBase(genesis, base)), ...deletions];
}
