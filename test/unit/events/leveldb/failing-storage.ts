import { type OpenStorage, openLevelStorage, type StorageOp } from "../../../../src/events/leveldb/storage.ts";

/**
 * How a write goes wrong. `before`: nothing reached the disk. `after`: all of it did, and the error came then, as when
 * an fsync fails late. Both tell the caller the same.
 */
export type Failure = "before" | "after";

/** LevelDB on a disk that fails when it is told to. */
export class FailingDisk {
  /** Asked before each write, with its number from 1; null lets it through. */
  failWrite: (nth: number, ops: readonly StorageOp[]) => Failure | null = () => null;
  failOpen = false;
  writes = 0;
  opens = 0;

  readonly openStorage: OpenStorage = async (directory) => {
    this.opens += 1;
    if (this.failOpen) throw new Error("IO error: the disk is full");
    const storage = await openLevelStorage(directory);
    return {
      ...storage,
      write: async (ops) => {
        this.writes += 1;
        const failure = this.failWrite(this.writes, ops);
        if (failure === "before") throw new Error("IO error: the disk is full");
        await storage.write(ops);
        if (failure === "after") throw new Error("IO error: fdatasync failed");
      },
    };
  };
}
