import { readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { isMissing } from "../../durable-file.ts";
import { boundsOfTable, type KeyBounds, type RawWrite, writesInLog, writesInTable } from "./raw-writes.ts";

export type RawEntry = readonly [key: string, value: string];

export interface RawFile extends KeyBounds {
  readonly path: string;
}

/**
 * What LevelDB's files in some directories hold, in the order of their keys, without LevelDB, which refuses, drops or
 * dies on damage: every write whose checksum is right, and of those to one key the last. A log may be larger than the
 * memory: tables are sorted, so that each is read only while a walk passes through it, and write-ahead logs are small.
 */
export class RawEntries {
  readonly #files: readonly RawFile[];

  private constructor(files: readonly RawFile[]) {
    this.#files = files;
  }

  /** Of all files that are there. */
  static async in(directories: readonly string[]): Promise<RawEntries> {
    const paths: string[] = [];
    for (const directory of directories) {
      for (const name of await filesIn(directory)) paths.push(join(directory, name));
    }
    return RawEntries.of([], paths);
  }

  /** Of tables whose bounds are known, and of other files. */
  static of(known: readonly RawFile[], others: readonly string[]): RawEntries {
    const looked = others.flatMap((path) => {
      const bounds = boundsOf(path);
      return bounds === null ? [] : { path, ...bounds };
    });
    return new RawEntries([...known, ...looked].sort((a, b) => order(a.first, b.first)));
  }

  get(key: string): string | undefined {
    for (const [, value] of this.between(key, key)) return value;
    return undefined;
  }

  /** Those with `from` ≤ key ≤ `to`, each key once. Files are read in step: nobody else waits in a salvage. */
  *between(from: string, to: string): Generator<RawEntry> {
    const coming = this.#files.filter(({ first, last }) => first <= to && last >= from);
    let open: Cursor[] = [];
    for (let next = 0; ; ) {
      const key = lowestKey(open);
      const file = coming[next];
      if (file !== undefined && (key === null || file.first <= key)) {
        open.push(new Cursor(file.path, from));
        next += 1;
        continue;
      }
      if (key === null || key > to) return;
      const write = takeAll(open, key);
      open = open.filter(({ current }) => current !== null);
      if (write !== null && write.value !== null) yield [key, write.value];
    }
  }
}

async function filesIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((name) => /^\d+\.(log|ldb|sst)$/.test(name));
  } catch (cause) {
    if (isMissing(cause)) return [];
    throw cause;
  }
}

const isLog = (path: string): boolean => path.endsWith(".log");

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Null: nothing in it can be read. */
function boundsOf(path: string): KeyBounds | null {
  const bytes = readFileSync(path);
  if (!isLog(path)) return boundsOfTable(bytes);
  const keys = [...writesInLog(bytes)].map(({ key }) => key).sort(order);
  const [first, last] = [keys[0], keys.at(-1)];
  return first === undefined || last === undefined ? null : { first, last };
}

/** A place in a file's writes, in the order of their keys. */
class Cursor {
  readonly #writes: Iterator<RawWrite>;
  current: RawWrite | null = null;

  constructor(path: string, from: string) {
    const bytes = readFileSync(path);
    const inLog = isLog(path) ? [...writesInLog(bytes)].sort((a, b) => order(a.key, b.key)) : null;
    this.#writes = inLog?.values() ?? writesInTable(bytes);
    do this.advance();
    while (this.current !== null && this.current.key < from);
  }

  advance(): void {
    const before = this.current?.key ?? "";
    const { done, value } = this.#writes.next();
    // A table that is not sorted is none.
    this.current = done === true || value.key < before ? null : value;
  }
}

function lowestKey(open: readonly Cursor[]): string | null {
  let lowest: string | null = null;
  for (const { current } of open) {
    if (current !== null && (lowest === null || current.key < lowest)) lowest = current.key;
  }
  return lowest;
}

/** The last of all writes to a key; every cursor moves past it. */
function takeAll(open: readonly Cursor[], key: string): RawWrite | null {
  let latest: RawWrite | null = null;
  for (const cursor of open) {
    while (cursor.current !== null && cursor.current.key === key) {
      if (latest === null || latest.sequence <= cursor.current.sequence) latest = cursor.current;
      cursor.advance();
    }
  }
  return latest;
}
