import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { PortreeveError } from "../../lib/errors.ts";
import { isMissing, makePrivateDirectory, writeDurably } from "../durable-file.ts";
import { GENESIS_HASH, type Seq, type StoredRecord, seqHex } from "../envelope.ts";
import type { PortreeveRecord } from "../index.ts";
import type { LogHead } from "../log.ts";
import { corrupt } from "../log-fault.ts";
import { decodeStored, hashOf, parseStored } from "../record.ts";

interface ArchiveFile {
  readonly name: string;
  readonly first: Seq;
  readonly last: Seq;
}

export interface ArchiveRange {
  readonly after: Seq;
  readonly to: Seq;
  /** The last archived record, whose hash the log knows. */
  readonly base: LogHead;
}

/** Written between two turns of the event loop: a few hundred kilobytes. */
const LINES_AT_ONCE = 500;

const FILE = /^([0-9a-f]{14})-([0-9a-f]{14})\.ndjson$/;

/**
 * Records that have left the log, in `<dataDir>/archive`: NDJSON files named by their first and last record, each line
 * the very bytes that were stored and hashed, so that the log's base vouches for all of them. An operator may move
 * files away; what they held can then no longer be read, and reading says so.
 */
export class Archive {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Durable when it resolves. Files may overlap: they hold the same records. */
  async write(first: Seq, texts: readonly string[]): Promise<void> {
    await makePrivateDirectory(this.#directory);
    const name = `${seqHex(first)}-${seqHex(first + texts.length - 1)}.ndjson`;
    await writeDurably(join(this.#directory, name), async (file) => {
      for (let index = 0; index < texts.length; index += LINES_AT_ONCE) {
        await file.write(`${texts.slice(index, index + LINES_AT_ONCE).join("\n")}\n`);
      }
    });
  }

  /** The seq after which every record up to `base` is in a file. */
  async readableAfter(base: Seq): Promise<Seq> {
    let after = base;
    for (const { first, last } of (await this.#files()).sort((a, b) => b.last - a.last)) {
      if (last < after) break;
      after = Math.min(after, first - 1);
    }
    return after;
  }

  /** Rejects with NOT_FOUND where a file is missing and with LOG_CORRUPT where one is not what was written. */
  async *read({ after, to, base }: ArchiveRange): AsyncGenerator<PortreeveRecord> {
    const files = await this.#files();
    const end = Math.min(to, base.seq);
    // A record is given only once the next one's `prevHash`, or the base's hash, has vouched for its bytes.
    const last = Math.min(to + 1, base.seq);
    let hash: string | null = after === 0 ? GENESIS_HASH : null;
    let held: StoredRecord | null = null;
    let next = after + 1;
    while (next <= last) {
      const file = files.find(({ first, last }) => first <= next && next <= last);
      if (file === undefined) throw await this.#gone(next, base.seq);
      for await (const [seq, text] of this.#lines(file)) {
        if (seq !== next || next > last) continue;
        const stored = parseStored(seq, text);
        if (hash !== null && stored.prevHash !== hash) throw changed(seq - 1, file);
        if (held !== null) yield decodeStored(held, stored.prevHash);
        held = stored;
        hash = hashOf(text);
        next += 1;
      }
      if (next <= Math.min(last, file.last)) throw corrupt(next, `archive/${file.name} ends before record ${next}`);
      if (next > base.seq && hash !== base.hash) throw changed(base.seq, file);
    }
    if (held !== null && hash !== null && held.seq <= end) yield decodeStored(held, hash);
  }

  async #gone(next: Seq, base: Seq): Promise<PortreeveError> {
    const first = (await this.readableAfter(base)) + 1;
    const message = `record ${next} is no longer there: it has left the log, and no file in the archive holds it. The first record there is is ${first}`;
    return new PortreeveError("NOT_FOUND", message, "refused");
  }

  async *#lines({ name, first }: ArchiveFile): AsyncGenerator<[Seq, string]> {
    const lines = createInterface({ input: createReadStream(join(this.#directory, name)), crlfDelay: Infinity });
    let seq = first;
    try {
      for await (const line of lines) {
        yield [seq, line];
        seq += 1;
      }
    } finally {
      lines.close();
    }
  }

  async #files(): Promise<ArchiveFile[]> {
    const names = await readdir(this.#directory).catch((cause: unknown): string[] => {
      if (isMissing(cause)) return [];
      throw cause;
    });
    return names.flatMap((name) => {
      const [, first, last] = FILE.exec(name) ?? [];
      if (first === undefined || last === undefined) return [];
      return { name, first: Number.parseInt(first, 16), last: Number.parseInt(last, 16) };
    });
  }
}

const changed = (seq: Seq, { name }: ArchiveFile): Error =>
  corrupt(seq, `record ${seq} in archive/${name} is not the one that was written: its hash does not match`);
