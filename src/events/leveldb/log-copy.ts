import { constants, existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PortreeveError } from "../../lib/errors.ts";
import { type DataDir, dataDirAt } from "../data-dir.ts";
import { isMissing } from "../durable-file.ts";
import type { Seq } from "../envelope.ts";
import type { PortreeveRecord } from "../index.ts";
import type { EventLog, LogHead } from "../log.ts";
import { corrupt } from "../log-fault.ts";
import { Archive } from "./archive.ts";
import { findHead, readChain } from "./chain.ts";
import { baseOf, readGenesis } from "./genesis.ts";
import { logExists } from "./log-begin.ts";
import { compareWithMark, expectedMark, openScanned } from "./log-open.ts";
import { readAll } from "./log-read.ts";
import { openLevelStorage, type Storage } from "./storage.ts";
import { readWitness, type WitnessReading } from "./witness.ts";

/** A log as it was at one instant, for reading. `close` removes the copy. */
export interface LogCopy extends Pick<EventLog, "instanceId" | "head" | "base" | "readableAfter" | "read" | "close"> {
  /**
   * The newest record the witness knows of, if the copy ends before it. That happens to a data directory that was
   * copied while its owner went on writing; nothing in such a copy can tell it from a lost tail.
   */
  readonly witnessAhead: Seq | null;
}

/**
 * Copies the log of a data directory, running or not, and opens the copy as if after a crash. Writes nothing to the
 * directory. Rejects with NOT_FOUND if there is no log, with LOG_CORRUPT if its end is lost or it cannot be opened.
 */
export async function copyForReading(dataDir: string): Promise<LogCopy> {
  const source = dataDirAt(dataDir);
  const temporary = await mkdtemp(join(tmpdir(), "portreeve-copy-"));
  let storage: Storage | null = null;
  try {
    // The witness first: the log may then be ahead of it, as after a crash, and never behind.
    const reading = await readWitness(source.witness);
    const target = dataDirAt(temporary);
    await mkdir(target.log);
    if (existsSync(source.log)) await copyLog(source.log, target.log);
    if (!(await logExists(target, reading)))
      throw new PortreeveError(
        "NOT_FOUND",
        `there is no event log in ${dataDir}: name its directory with --data-dir`,
        "refused",
      );
    ({ storage } = await openScanned(target, openLevelStorage, Infinity).catch(asDamage));
    const genesis = await readGenesis(storage);
    if (genesis === undefined) throw corrupt(1, "the log's own description is missing");
    const base = baseOf(genesis);
    const { head, witnessAhead } = await believe(storage, base, reading, source);
    const { instanceId } = genesis;
    return new OpenCopy(temporary, storage, new Archive(source.archive), { instanceId, base, head, witnessAhead });
  } catch (cause) {
    await storage?.close();
    await rm(temporary, { recursive: true, force: true });
    throw cause;
  }
}

class OpenCopy implements LogCopy {
  readonly instanceId: string;
  readonly base: LogHead;
  readonly head: LogHead;
  readonly witnessAhead: Seq | null;
  readonly #directory: string;
  readonly #storage: Storage;
  /** The owner's: its files never change. */
  readonly #archive: Archive;

  constructor(
    directory: string,
    storage: Storage,
    archive: Archive,
    of: Pick<LogCopy, "instanceId" | "base" | "head" | "witnessAhead">,
  ) {
    this.#directory = directory;
    this.#storage = storage;
    this.#archive = archive;
    this.base = of.base;
    this.instanceId = of.instanceId;
    this.head = of.head;
    this.witnessAhead = of.witnessAhead;
  }

  read(after: Seq, options: { readonly to?: Seq } = {}): AsyncIterable<PortreeveRecord> {
    const { head, base } = this;
    const range = { after, to: options.to ?? head.seq, head };
    // Nobody compacts a copy; going through the archive's reader costs a quarter of a replay.
    if (after >= base.seq) return readChain(async () => this.#storage, { ...range, base });
    return readAll({ storage: async () => this.#storage, archive: this.#archive, base: () => base }, range);
  }

  readableAfter(): Promise<Seq> {
    return this.#archive.readableAfter(this.base.seq);
  }

  async close(): Promise<void> {
    await this.#storage.close();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

const ATTEMPTS = 20;

/** A running LevelDB may compact while we copy: what was copied counts only if the set of files stayed as it was. */
export async function copyLog(source: string, target: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { names, text } = await fingerprint(source);
      for (const name of names) await copyFile(join(source, name), join(target, name), constants.COPYFILE_FICLONE);
      if ((await fingerprint(source)).text === text) return;
    } catch (cause) {
      if (!isMissing(cause)) throw cause;
    }
    if (attempt === ATTEMPTS) {
      throw new PortreeveError("UNAVAILABLE", `${source} changes faster than it can be copied`, "transient");
    }
    for (const name of await readdir(target)) await rm(join(target, name));
  }
}

interface Fingerprint {
  readonly names: readonly string[];
  readonly text: string;
}

async function fingerprint(log: string): Promise<Fingerprint> {
  // Not LOCK: closing a descriptor of it would drop the lock, if the owner is this very process.
  const names = (await readdir(log)).filter((name) => /^(CURRENT|MANIFEST-\d+|\d+\.(log|ldb|sst))$/.test(name)).sort();
  const sizes = names
    .filter((name) => name.startsWith("MANIFEST-"))
    .map(async (name) => (await stat(join(log, name))).size);
  const current = names.includes("CURRENT") ? await readFile(join(log, "CURRENT"), "latin1") : "";
  return { names, text: [...names, ...(await Promise.all(sizes)), current].join(" ") };
}

async function believe(
  storage: Storage,
  base: LogHead,
  reading: WitnessReading,
  source: DataDir,
): Promise<Pick<LogCopy, "head" | "witnessAhead">> {
  const found = await findHead(storage, base);
  const { seq, hash, refusedAbove } = expectedMark(reading, found);
  const closedInOrder = existsSync(source.clean);
  if (seq > found.seq && reading.copied && !closedInOrder) return { head: found, witnessAhead: seq };
  await compareWithMark(storage, base, found, { seq, hash });
  return { head: refusedAbove ? { seq, hash } : found, witnessAhead: null };
}

/** The copy lies where we just wrote it: if LevelDB cannot open that, it is not for the file system's sake. */
function asDamage(cause: unknown): never {
  throw cause instanceof PortreeveError ? cause : corrupt(0, "LevelDB cannot open the event log", cause);
}
