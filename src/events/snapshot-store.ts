import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { dataDirAt } from "./data-dir.ts";
import { isMissing, makePrivateDirectory, removeDurably, writeDurably } from "./durable-file.ts";
import { type Seq, seqHex } from "./envelope.ts";
import type { Snapshot, SnapshotHeader, SnapshotStore, SnapshotText } from "./snapshot.ts";

export interface SnapshotFault {
  readonly file: string;
  readonly message: string;
}

/**
 * Snapshots as files in `<dataDir>/snapshots`, one JSON document each, named by their seq. A file that is not exactly
 * what was written counts as not there, and `report` is told: the log can always be folded again.
 */
export function openSnapshots(dataDir: string, report: (fault: SnapshotFault) => void = () => {}): SnapshotStore {
  return new SnapshotFiles(dataDirAt(dataDir).snapshots, report);
}

/** Removes all but the newest `count` good ones, and the one the log begins after, which nothing could make again. */
export async function keepNewest(store: SnapshotStore, count: number, base: Seq): Promise<void> {
  for (const { seq } of (await store.list()).slice(count)) if (seq !== base) await store.remove(seq);
}

/** Where the snapshot of a record lies in the directory of snapshots. */
export const snapshotFile = (directory: string, seq: Seq): string => join(directory, `${seqHex(seq)}.json`);

const header = z.strictObject({
  seq: z.number().int().nonnegative(),
  chainHash: z.string().regex(/^[0-9a-f]{64}$/),
  at: z.number(),
  reducerVersion: z.number().int(),
});

const FILE = /^([0-9a-f]{14})\.json$/;
/** The document begins with the hash of itself without this first member. */
const CHECKSUM = /^\{"checksum":"([0-9a-f]{64})",/;
const checksumMember = (hex: string): string => `{"checksum":"${hex}",`;
const STATE = ',"state":';
const CHUNK_BYTES = 256 * 1024;

/** A turn of the event loop for each few. The document is whole: what ends it is the state's end and its own. */
async function* linesOfState(file: string): AsyncGenerator<string> {
  let [rest, begun] = ["", false];
  const input = createReadStream(file, { encoding: "utf8", highWaterMark: CHUNK_BYTES });
  for await (const chunk of input as AsyncIterable<string>) {
    rest += chunk;
    const start = begun ? 0 : rest.indexOf(STATE) + STATE.length;
    begun = true;
    const lines = rest.slice(start).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
    await new Promise((resolve) => setImmediate(resolve));
  }
  yield rest.slice(0, -1);
}

class SnapshotFiles implements SnapshotStore {
  readonly #directory: string;
  readonly #report: (fault: SnapshotFault) => void;

  constructor(directory: string, report: (fault: SnapshotFault) => void) {
    this.#directory = directory;
    this.#report = report;
  }

  async write({ seq, chainHash, at, reducerVersion }: SnapshotHeader, state: Iterable<string>): Promise<void> {
    await makePrivateDirectory(this.#directory);
    const head = JSON.stringify({ seq, chainHash, at, reducerVersion }).slice(0, -1);
    await writeDurably(this.#file(seq), async (file) => {
      const checksum = createHash("sha256").update("{");
      await file.write(checksumMember("0".repeat(64)));
      const put = async (text: string): Promise<void> => {
        checksum.update(text);
        await file.write(text);
      };
      await put(`${head.slice(1)}${STATE}`);
      for (const piece of state) if (piece !== "") await put(piece);
      await put("}");
      await file.write(checksumMember(checksum.digest("hex")), 0);
    });
  }

  async list(): Promise<readonly SnapshotHeader[]> {
    const found: SnapshotHeader[] = [];
    for (const seq of await this.#seqs()) {
      const header = await this.#reported(seq, (file) => this.#check(file, seq));
      if (header !== undefined) found.push(header);
    }
    return found;
  }

  read(seq: Seq): Promise<Snapshot | undefined> {
    return this.#reported(seq, async (file) => {
      const found = await this.#check(file, seq);
      const { state } = JSON.parse(await readFile(file, "utf8")) as { state: unknown };
      return { ...found, state };
    });
  }

  open(seq: Seq): Promise<SnapshotText | undefined> {
    return this.#reported(seq, async (file) => ({ ...(await this.#check(file, seq)), lines: linesOfState(file) }));
  }

  remove(seq: Seq): Promise<void> {
    return removeDurably(this.#file(seq));
  }

  /** Newest first. */
  async #seqs(): Promise<Seq[]> {
    const names = await readdir(this.#directory).catch((cause: unknown): string[] => {
      if (isMissing(cause)) return [];
      throw cause;
    });
    const seqs = names.flatMap((name) => FILE.exec(name)?.[1] ?? []).map((hex) => Number.parseInt(hex, 16));
    return seqs.sort((a, b) => b - a);
  }

  /** The header of a file that is exactly what was written; read piece by piece, as it may be large. */
  async #check(file: string, seq: Seq): Promise<SnapshotHeader> {
    const checksum = createHash("sha256").update("{");
    let [start, written] = ["", ""];
    for await (const chunk of createReadStream(file, { highWaterMark: CHUNK_BYTES })) {
      let bytes = chunk as Buffer;
      if (start === "") {
        start = bytes.toString("latin1");
        written = CHECKSUM.exec(start)?.[1] ?? "";
        bytes = bytes.subarray(checksumMember(written).length);
      }
      checksum.update(bytes);
    }
    if (checksum.digest("hex") !== written) throw new Error("its checksum does not match");
    const head = start.slice(checksumMember(written).length, start.indexOf(STATE));
    const parsed = header.parse(JSON.parse(`{${head}}`));
    if (parsed.seq !== seq) throw new Error(`it is a snapshot of record ${parsed.seq}`);
    return parsed;
  }

  async #reported<T>(seq: Seq, use: (file: string) => Promise<T>): Promise<T | undefined> {
    const file = this.#file(seq);
    try {
      return await use(file);
    } catch (cause) {
      if (!isMissing(cause)) this.#report({ file, message: `snapshot not used: ${(cause as Error).message}` });
      return undefined;
    }
  }

  #file(seq: Seq): string {
    return snapshotFile(this.#directory, seq);
  }
}
