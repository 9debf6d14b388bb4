import { join } from "node:path";
import { isMissing } from "../../durable-file.ts";
import type { ReadableStorage, StorageEntry } from "../storage.ts";
import { RawEntries, type RawEntry } from "./raw-entries.ts";
import { liveTables } from "./table-scan.ts";
import { walFiles } from "./wal-scan.ts";

/** After which all that a walk wants has been moved under it again and again, or is gone. */
const ATTEMPTS = 10;

/**
 * A store as its files on the disk have it, for who only reads, and in order. LevelDB, which goes on writing them, is
 * not asked: it would keep every table it has read mapped into our memory.
 */
export class StoreOnDisk implements ReadableStorage {
  readonly #directory: string;
  #entries: RawEntries | null = null;
  /** The walk that the last range left, to be gone on with by the next. */
  #walk: { readonly entries: Generator<RawEntry>; after: string; readonly to: string } | null = null;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async get(key: string): Promise<string | undefined> {
    return (await this.range(key, key, { limit: 1 }))[0]?.[1];
  }

  async range(
    from: string,
    to: string,
    { limit, reverse = false }: { readonly limit: number; readonly reverse?: boolean },
  ): Promise<readonly StorageEntry[]> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        this.#entries ??= await this.#look();
        return reverse ? this.#last(this.#entries, from, to, limit) : this.#next(this.#entries, from, to, limit);
      } catch (cause) {
        this.forget();
        // A table was merged into others since we looked.
        if (!isMissing(cause) || attempt === ATTEMPTS) throw cause;
      }
    }
  }

  /** The next read looks at the directory anew. */
  forget(): void {
    this.#entries = null;
    this.#walk = null;
  }

  /** Logs first: what leaves one meanwhile is in a table by the time those are listed. */
  async #look(): Promise<RawEntries> {
    const logs = (await walFiles(this.#directory)).map((name) => join(this.#directory, name));
    return RawEntries.of(await liveTables(this.#directory), logs);
  }

  #next(entries: RawEntries, from: string, to: string, limit: number): StorageEntry[] {
    let walk = this.#walk;
    if (walk === null || walk.to !== to || from < walk.after) {
      walk = { entries: entries.between(from, to), after: from, to };
      this.#walk = walk;
    }
    const page: StorageEntry[] = [];
    while (page.length < limit) {
      const { done, value } = walk.entries.next();
      if (done === true) break;
      if (value[0] >= from) page.push(value);
      walk.after = `${value[0]}\0`;
    }
    return page;
  }

  #last(entries: RawEntries, from: string, to: string, limit: number): StorageEntry[] {
    const page: StorageEntry[] = [];
    for (const entry of entries.between(from, to)) {
      page.push(entry);
      if (page.length > limit) page.shift();
    }
    return page.reverse();
  }
}
