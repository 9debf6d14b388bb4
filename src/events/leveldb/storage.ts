import { Level } from "level";
import { PortreeveError } from "../../lib/errors.ts";
import { writeFailed } from "../log-fault.ts";

export type StorageOp =
  | { readonly type: "put"; readonly key: string; readonly value: string }
  | { readonly type: "del"; readonly key: string };

export type StorageEntry = readonly [key: string, value: string];

/** The ordered key-value store under the log: the seam where tests let a disk fail. */
export interface Storage {
  get(key: string): Promise<string | undefined>;
  /** Entries with `from` ≤ key ≤ `to` in key order, or from the end if `reverse`; at most `limit`. */
  range(
    from: string,
    to: string,
    options: { readonly limit: number; readonly reverse?: boolean },
  ): Promise<readonly StorageEntry[]>;
  /** All or nothing, and on the disk before it resolves. After a rejection nothing is known: reopen and look. */
  write(ops: readonly StorageOp[]): Promise<void>;
  close(): Promise<void>;
}

/** For who only reads. */
export type ReadableStorage = Pick<Storage, "get" | "range">;

/** Opens, or makes, the store in a directory. Rejects with LOG_LOCKED if another process has it open. */
export type OpenStorage = (directory: string) => Promise<Storage>;

/** Enough for a page of records in one trip to the thread pool; the default of 16 KiB costs dozens. */
const PAGE_BYTES_MAX = 1024 * 1024;

/**
 * LevelDB maps each table that it has open into our memory, where what was read of it stays: of its default of a
 * thousand that would be 2 GB once a long log has been read. This is the least it takes, 64 tables and ten other files.
 */
const OPEN_FILES_MAX = 74;

export const openLevelStorage: OpenStorage = async (directory) => {
  const db = new Level<string, string>(directory, {
    keyEncoding: "utf8",
    valueEncoding: "utf8",
    maxOpenFiles: OPEN_FILES_MAX,
  });
  try {
    await db.open();
  } catch (cause) {
    const inner = (cause as { cause?: { code?: string; message?: string } }).cause;
    if (inner?.code === "LEVEL_LOCKED") {
      throw new PortreeveError("LOG_LOCKED", `another process has the event log in ${directory} open`, "fatal", {
        cause,
      });
    }
    throw cause;
  }
  return {
    get: (key) => db.get(key).catch(closedMeanwhile),
    range: (from, to, { limit, reverse = false }) =>
      db
        .iterator({ gte: from, lte: to, limit, reverse, highWaterMarkBytes: PAGE_BYTES_MAX })
        .all()
        .catch(closedMeanwhile),
    write: async (ops) => {
      try {
        // On the main thread this form costs less than half of what an array of operations does.
        const batch = db.batch();
        for (const op of ops) {
          if (op.type === "put") batch.put(op.key, op.value);
          else batch.del(op.key);
        }
        // LevelDB does not fsync unless told to.
        await batch.write({ sync: true });
      } catch (cause) {
        throw writeFailed("LevelDB refused a write", cause);
      }
    },
    close: () => db.close(),
  };
};

function closedMeanwhile(cause: unknown): never {
  const code = (cause as { code?: unknown }).code;
  if (code === "LEVEL_DATABASE_NOT_OPEN" || code === "LEVEL_ITERATOR_NOT_OPEN") {
    throw new PortreeveError("NOT_READY", "the event log was closed while it was read", "transient", { cause });
  }
  throw cause;
}
