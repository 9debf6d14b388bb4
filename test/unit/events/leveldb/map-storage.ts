import type { Storage, StorageEntry } from "../../../../src/events/leveldb/storage.ts";

/** A store in memory whose content a test may change behind everyone's back. */
export class MapStorage implements Storage {
  readonly values = new Map<string, string>();

  async get(key: string): Promise<string | undefined> {
    return this.values.get(key);
  }

  async range(from: string, to: string, { limit, reverse = false }: { limit: number; reverse?: boolean }) {
    const entries: StorageEntry[] = [...this.values].filter(([key]) => key >= from && key <= to);
    entries.sort(([a], [b]) => (a < b ? -1 : 1));
    return (reverse ? entries.reverse() : entries).slice(0, limit);
  }

  async write(ops: Parameters<Storage["write"]>[0]): Promise<void> {
    for (const op of ops) {
      if (op.type === "put") this.values.set(op.key, op.value);
      else this.values.delete(op.key);
    }
  }

  async close(): Promise<void> {}
}
