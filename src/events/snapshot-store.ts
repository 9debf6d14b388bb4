import { hash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { dataDirAt } from "./data-dir.ts";
import { isMissing, makePrivateDirectory, removeDurably, writeDurably } from "./durable-file.ts";
import type { Seq } from "./envelope.ts";
import { seqHex } from "./keys.ts";
import type { Snapshot, SnapshotHeader, SnapshotStore } from "./snapshot.ts";

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

/** Removes all but the newest `count` good ones. */
export async function keepNewest(store: SnapshotStore, count: number): Promise<void> {
  for (const { seq } of (await store.list()).slice(count)) await store.remove(seq);
}

const header = z.strictObject({
  seq: z.number().int().nonnegative(),
  chainHash: z.string().regex(/^[0-9a-f]{64}$/),
  at: z.number(),
  reducerVersion: z.number().int(),
});

const FILE = /^([0-9a-f]{14})\.json$/;
/** The document begins with the hash of itself without this first member. */
const CHECKSUM = /^\{"checksum":"([0-9a-f]{64})",/;
const STATE = ',"state":';

class SnapshotFiles implements SnapshotStore {
  readonly #directory: string;
  readonly #report: (fault: SnapshotFault) => void;

  constructor(directory: string, report: (fault: SnapshotFault) => void) {
    this.#directory = directory;
    this.#report = report;
  }

  async write({ seq, chainHash, at, reducerVersion, state }: Snapshot): Promise<void> {
    const body = JSON.stringify({ seq, chainHash, at, reducerVersion, state });
    await makePrivateDirectory(this.#directory);
    await writeDurably(this.#file(seq), `{"checksum":"${hash("sha256", body, "hex")}",${body.slice(1)}`);
  }

  async list(): Promise<readonly SnapshotHeader[]> {
    const found: SnapshotHeader[] = [];
    for (const seq of await this.#seqs()) {
      const snapshot = await this.#load(seq);
      if (snapshot !== undefined) found.push(snapshot.header);
    }
    return found;
  }

  async read(seq: Seq): Promise<Snapshot | undefined> {
    const loaded = await this.#load(seq);
    return loaded && { ...loaded.header, state: JSON.parse(loaded.stateText) as unknown };
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

  async #load(seq: Seq): Promise<{ header: SnapshotHeader; stateText: string } | undefined> {
    const file = this.#file(seq);
    try {
      const text = await readFile(file, "utf8");
      const [prefix, checksum] = CHECKSUM.exec(text) ?? ["", ""];
      const body = `{${text.slice(prefix.length)}`;
      if (hash("sha256", body, "hex") !== checksum) throw new Error("its checksum does not match");
      const split = body.indexOf(STATE);
      const parsed = header.parse(JSON.parse(`${body.slice(0, split)}}`));
      if (parsed.seq !== seq) throw new Error(`it is a snapshot of record ${parsed.seq}`);
      return { header: parsed, stateText: body.slice(split + STATE.length, -1) };
    } catch (cause) {
      if (!isMissing(cause)) this.#report({ file, message: `snapshot not used: ${(cause as Error).message}` });
      return undefined;
    }
  }

  #file(seq: Seq): string {
    return join(this.#directory, `${seqHex(seq)}.json`);
  }
}
