import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, open, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { PortreeveError } from "../lib/errors.ts";
import { dataDirAt } from "./data-dir.ts";
import { isMissing, writeDurably } from "./durable-file.ts";
import { copyLog } from "./leveldb/log-copy.ts";
import { PassphraseSeal } from "./passphrase.ts";
import type { Secret } from "./secret.ts";
import { openAll } from "./secrets.ts";
import { verifyLog } from "./leveldb/verify.ts";

export const BACKUP_VERSION = 1;
/** What a backup holds of a data directory, and no path that leads out of one. */
export const BACKED_UP =
  /^(?:witness|log\/(?:CURRENT|MANIFEST-\d+|\d+\.(?:log|ldb|sst))|(?:snapshots|archive)\/[A-Za-z0-9_-][A-Za-z0-9._-]*)$/;
const CHUNK_BYTES = 1 << 20;

export interface BackupOptions {
  readonly dataDir: string;
  readonly file: string;
  /** Null: no secret goes into the file. */
  readonly secrets: { readonly masterKey: Secret; readonly passphrase: Secret } | null;
}

export interface BackupReport {
  readonly file: string;
  /** The last record in it. */
  readonly head: number;
  readonly secrets: number;
}

/**
 * A data directory in one file, while its owner runs or not: the log as after a crash at one instant, its snapshots and
 * archive. Lines of JSON in gzip; the last one proves that all of it is there.
 */
export async function makeBackup({ dataDir, file, secrets }: BackupOptions): Promise<BackupReport> {
  if (existsSync(file))
    throw new PortreeveError("CONFLICT", `there is a ${file} already; name another file`, "refused");
  const temporary = await mkdtemp(join(tmpdir(), "portreeve-backup-"));
  try {
    await copyParts(dataDir, temporary);
    // Asked of the copy, which nobody writes to: what is restored is exactly this.
    const verdict = await verifyLog(temporary);
    if (!verdict.ok || verdict.head === null) {
      const message = `the log in ${dataDir} is damaged: ${verdict.fault?.message ?? "it cannot be opened"}`;
      throw new PortreeveError("LOG_CORRUPT", message, "refused");
    }
    const count = { secrets: 0 };
    const lines = withEnd(linesOf(temporary, dataDir, secrets, count));
    await writeDurably(file, async (target) => {
      await pipeline(Readable.from(lines), createGzip(), async (pieces: AsyncIterable<Buffer>) => {
        for await (const piece of pieces) await target.writeFile(piece);
      });
    });
    return { file, head: verdict.head.seq, secrets: count.secrets };
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** The witness first and the archive last: no part then knows of less than those that were copied before it need. */
async function copyParts(dataDir: string, temporary: string): Promise<void> {
  const [source, target] = [dataDirAt(dataDir), dataDirAt(temporary)];
  if (!existsSync(source.log)) {
    const message = `there is no event log in ${dataDir}: name its directory with --data-dir, or a configuration that does with --config`;
    throw new PortreeveError("NOT_FOUND", message, "refused");
  }
  await copyIfThere(source.witness, target.witness);
  await copyFolder(source.snapshots, target.snapshots);
  await mkdir(target.log);
  await copyLog(source.log, target.log);
  await copyFolder(source.archive, target.archive);
}

async function copyFolder(source: string, target: string): Promise<void> {
  const names = await readdir(source).catch((cause: unknown): string[] => {
    if (isMissing(cause)) return [];
    throw cause;
  });
  await mkdir(target);
  for (const name of names.filter((each) => !each.endsWith(".tmp"))) {
    await copyIfThere(join(source, name), join(target, name));
  }
}

/** An old snapshot may go while it is copied. */
async function copyIfThere(source: string, target: string): Promise<void> {
  await copyFile(source, target).catch((cause: unknown) => {
    if (!isMissing(cause)) throw cause;
  });
}

async function* linesOf(
  copy: string,
  dataDir: string,
  secrets: BackupOptions["secrets"],
  count: { secrets: number },
): AsyncGenerator<object> {
  yield { portreeveBackup: BACKUP_VERSION };
  const names = (await readdir(copy, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(copy.length + 1))
    .filter((name) => BACKED_UP.test(name))
    .sort();
  for (const name of names) yield* chunksOf(name, join(copy, name));
  if (secrets === null) return;
  const seal = await PassphraseSeal.make(secrets.passphrase);
  yield { lock: seal.lock };
  for await (const { secretId, kind, material } of openAll(dataDir, secrets.masterKey)) {
    const plain = JSON.stringify({ kind, material: Buffer.from(material.expose()).toString("base64") });
    yield { secret: secretId, sealed: seal.seal(secretId, Buffer.from(plain)) };
    count.secrets += 1;
  }
}

async function* chunksOf(name: string, path: string): AsyncGenerator<object> {
  const file = await open(path, "r");
  try {
    for (let first = true; ; first = false) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES);
      if (bytesRead === 0 && !first) return;
      yield { file: name, data: buffer.toString("base64", 0, bytesRead) };
      if (bytesRead < CHUNK_BYTES) return;
    }
  } finally {
    await file.close();
  }
}

async function* withEnd(documents: AsyncIterable<object>): AsyncGenerator<string> {
  const hash = createHash("sha256");
  for await (const document of documents) {
    const line = `${JSON.stringify(document)}\n`;
    hash.update(line);
    yield line;
  }
  yield `${JSON.stringify({ end: hash.digest("hex") })}\n`;
}
