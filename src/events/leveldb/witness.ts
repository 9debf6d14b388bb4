import { hash } from "node:crypto";
import { writeSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { isMissing, syncDirectory } from "../durable-file.ts";
import type { LogHead } from "../log.ts";

/**
 * What was acknowledged, kept outside LevelDB: after a lost tail or a restored copy LevelDB looks as healthy as ever.
 * Two slots, written in turn, each in a page of its own, so that a torn write spares the other.
 */
export interface WitnessMark extends LogHead {
  /** Callers were told that nothing came after `seq`; if something did, it must go. */
  readonly refusedAbove: boolean;
}

export interface WitnessReading {
  /** `blank`: made and never written to. `damaged`: neither slot is readable. */
  readonly status: "absent" | "blank" | "damaged" | "read";
  readonly mark: WitnessMark | null;
  /** The file is not where it was written: a copy, whose log may have been copied earlier than the file was. */
  readonly copied: boolean;
  /** Of the log, for the case that nothing is left of it. */
  readonly instanceId: string | null;
  readonly count: number;
  readonly slot: 0 | 1;
}

const SLOT_BYTES = 4096;
const SYNC_EVERY_MS = 1000;
const MAGIC = "portreeve-witness-1";

const checksum = (text: string): string => hash("sha256", text, "hex").slice(0, 16);

/** A file of its own: a copy put in the place of one that was removed gets its inode, but not its time of birth. */
async function identityOf(file: FileHandle): Promise<string> {
  const { ino, birthtimeNs } = await file.stat({ bigint: true });
  return `${ino}-${birthtimeNs}`;
}

function slotText(mark: WitnessMark, count: number, identity: string, instanceId: string): string {
  const above = mark.refusedAbove ? "refused-above" : "open";
  const text = [MAGIC, count, mark.seq, mark.hash, above, identity, instanceId].join(" ");
  return `${text} ${checksum(text)}\n`;
}

interface Slot {
  readonly count: number;
  readonly mark: WitnessMark;
  /** Of the file it was written to. */
  readonly identity: string;
  readonly instanceId: string | null;
}

function parseSlot(bytes: Buffer): Slot | null {
  const line = bytes.subarray(0, Math.max(bytes.indexOf("\n"), 0)).toString("latin1");
  const space = line.lastIndexOf(" ");
  const text = line.slice(0, Math.max(space, 0));
  if (line.slice(space + 1) !== checksum(text)) return null;
  const [magic, count, seq, hashText, above, identity, instanceId = null] = text.split(" ");
  if (magic !== MAGIC || hashText === undefined || identity === undefined) return null;
  const mark = { seq: Number(seq), hash: hashText, refusedAbove: above === "refused-above" };
  return { count: Number(count), mark, identity, instanceId };
}

const UNREAD = { mark: null, copied: false, instanceId: null, count: 0, slot: 1 } as const;

export async function readWitness(path: string): Promise<WitnessReading> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (cause) {
    if (isMissing(cause)) return { ...UNREAD, status: "absent" };
    throw cause;
  }
  try {
    const bytes = await file.readFile();
    const identity = await identityOf(file);
    const slots = [parseSlot(bytes.subarray(0, SLOT_BYTES)), parseSlot(bytes.subarray(SLOT_BYTES))] as const;
    const slot = (slots[1]?.count ?? 0) > (slots[0]?.count ?? 0) ? 1 : 0;
    const newest = slots[slot];
    // Zeros are what it begins with: whoever made it was killed before the first mark, and told nobody anything.
    if (newest === null) return { ...UNREAD, status: bytes.every((byte) => byte === 0) ? "blank" : "damaged" };
    // The first form had the inode alone.
    const copied = ![identity, identity.split("-")[0]].includes(newest.identity);
    const { mark, instanceId, count } = newest;
    return { status: "read", mark, copied, instanceId, count, slot };
  } finally {
    await file.close();
  }
}

export class Witness {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #identity: string;
  readonly #instanceId: string;
  #count: number;
  #slot: 0 | 1;
  #timer: NodeJS.Timeout | null = null;
  #syncing: Promise<void> | null = null;
  #failure: unknown = null;

  private constructor(path: string, file: FileHandle, identity: string, instanceId: string, reading: WitnessReading) {
    this.#path = path;
    this.#file = file;
    this.#identity = identity;
    this.#instanceId = instanceId;
    this.#count = reading.count;
    this.#slot = reading.slot;
  }

  /** Goes on from what was read. A new file has its blocks and its name on the disk before this resolves. */
  static async open(path: string, reading: WitnessReading, instanceId: string): Promise<Witness> {
    const fresh = reading.status === "absent" || reading.status === "blank";
    const file = await open(path, reading.status === "absent" ? "wx+" : "r+", 0o600);
    try {
      if (fresh) {
        // Written in place from now on, which needs no new block: a full disk does not stop the witness.
        await file.write(Buffer.alloc(2 * SLOT_BYTES), 0, 2 * SLOT_BYTES, 0);
        await file.sync();
        await syncDirectory(dirname(path));
      }
      return new Witness(path, file, await identityOf(file), instanceId, reading);
    } catch (cause) {
      await file.close();
      throw cause;
    }
  }

  /** In the kernel when it resolves: it survives our death at once, and a power loss a second later. */
  async write(mark: WitnessMark): Promise<void> {
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) throw failure;
    // After a write that failed the same slot is tried again: the other one is the last that is known to be good.
    const slot = this.#slot === 0 ? 1 : 0;
    this.#count += 1;
    const text = slotText(mark, this.#count, this.#identity, this.#instanceId);
    const bytes = Buffer.from(text.padEnd(256, "\0"), "latin1");
    // Synchronous: into the page cache it takes microseconds, and every acknowledgement waits for it.
    const written = writeSync(this.#file.fd, bytes, 0, bytes.length, slot * SLOT_BYTES);
    if (written !== bytes.length) throw new Error(`the witness took ${written} of ${bytes.length} bytes`);
    this.#slot = slot;
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      // Told to the next writer, who then takes nothing for granted.
      this.sync().catch((cause: unknown) => {
        this.#failure = cause;
      });
    }, SYNC_EVERY_MS).unref();
  }

  /** Whether another process has made a mark since we opened it: whoever opens a log makes one. */
  async writtenByOthers(): Promise<boolean> {
    return (await readWitness(this.#path)).count > this.#count;
  }

  async sync(): Promise<void> {
    await this.#syncing;
    this.#syncing = this.#file.datasync().finally(() => {
      this.#syncing = null;
    });
    await this.#syncing;
  }

  async close(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    try {
      await this.sync();
    } finally {
      await this.#file.close();
    }
  }
}
