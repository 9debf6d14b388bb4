import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { appendFile, mkdir, readdir, realpath, rename, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { createGunzip } from "node:zlib";
import { z } from "zod";
import { PortreeveError } from "../lib/errors.ts";
import { BACKED_UP, BACKUP_VERSION } from "./backup.ts";
import { isMissing, makePrivateDirectory, syncDirectory } from "./durable-file.ts";
import { secretId } from "./fields.ts";
import { lockSchema, PassphraseSeal } from "./passphrase.ts";
import { Secret } from "./secret.ts";
import { type OpenedSecret, sealAgain } from "./secrets.ts";
import { verifyLog } from "./leveldb/verify.ts";

const line = z.union([
  z.strictObject({ file: z.string().max(255).regex(BACKED_UP), data: z.base64() }),
  z.strictObject({ lock: lockSchema }),
  z.strictObject({ secret: secretId, sealed: z.base64() }),
  z.strictObject({ end: z.string() }),
]);
/** A piece of a file in base64, and what is around it. */
const LINE_MAX = 4 << 20;

const plainSecret = z.strictObject({ kind: z.string(), material: z.base64() });

export interface RestoreOptions {
  readonly file: string;
  readonly dataDir: string;
  readonly passphrase: Secret | null;
  /** Asked for only if there are secrets to seal. */
  readonly masterKey: () => Promise<Secret>;
}

export interface RestoreReport {
  readonly dataDir: string;
  readonly head: number;
  readonly secrets: number;
  /** Secrets of the backup that were left in it for want of a passphrase. */
  readonly left: number;
}

/** Makes the data directory of a backup, whole or not at all. A start recognises it as a copy and waits for a yes. */
export async function restoreBackup(options: RestoreOptions): Promise<RestoreReport> {
  const { file } = options;
  // What it is called is made beside: "data/" would be within, and a link would not be replaced.
  const dataDir = await realpath(options.dataDir).catch(() => resolve(options.dataDir));
  await refuseUnlessEmpty(dataDir);
  const making = `${dataDir}.restoring`;
  await mkdir(making, { mode: 0o700 }).catch((cause: unknown): never => {
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
    const message = `${making} cannot be made (a restore that was cut short may have left it: remove it)`;
    throw new PortreeveError("CONFLICT", message, "refused", { cause });
  });
  try {
    const { secrets, left } = await unpack(options, making);
    if (secrets.length > 0) await sealAgain(making, await options.masterKey(), secrets);
    const verdict = await verifyLog(making);
    if (!verdict.ok || verdict.head === null) {
      const message = `the log in ${file} is damaged: ${verdict.fault?.message ?? "it cannot be opened"}`;
      throw new PortreeveError("LOG_CORRUPT", message, "refused");
    }
    // An empty directory is replaced by it.
    await rename(making, dataDir);
    await syncDirectory(dirname(dataDir));
    return { dataDir, head: verdict.head.seq, secrets: secrets.length, left };
  } finally {
    await rm(making, { recursive: true, force: true });
  }
}

async function refuseUnlessEmpty(dataDir: string): Promise<void> {
  const names = await readdir(dataDir).catch((cause: unknown): string[] => {
    if (isMissing(cause)) return [];
    throw cause;
  });
  if (names.length === 0) return;
  const message = `${dataDir} is not empty: a backup is restored into a directory of its own; move this one away first`;
  throw new PortreeveError("CONFLICT", message, "refused");
}

async function unpack(
  { file, passphrase }: RestoreOptions,
  making: string,
): Promise<{ secrets: OpenedSecret[]; left: number }> {
  const hash = createHash("sha256");
  const found = { secrets: [] as OpenedSecret[], left: 0 };
  let seal: PassphraseSeal | null = null;
  let [number, ended] = [0, false];
  for await (const text of linesOf(file)) {
    number += 1;
    if (ended) throw damaged(file, "something comes after its end");
    if (number === 1) checkHeader(file, text);
    else {
      const said = parsed(file, text);
      if ("end" in said) {
        ended = said.end === hash.digest("hex");
        if (!ended) throw damaged(file, "it is not what was written");
        continue;
      }
      if ("file" in said) await append(making, said.file, Buffer.from(said.data, "base64"));
      else if ("lock" in said) seal = passphrase === null ? null : await PassphraseSeal.of(said.lock, passphrase);
      else if (seal === null) found.left += 1;
      else found.secrets.push(opened(file, said.secret, seal.open(said.secret, said.sealed)));
    }
    hash.update(`${text}\n`);
  }
  if (!ended) throw damaged(file, "its end is missing");
  return found;
}

async function* linesOf(file: string): AsyncGenerator<string> {
  const source = createReadStream(file);
  const unzipped = createGunzip();
  source.on("error", (cause) => unzipped.destroy(cause));
  try {
    let rest = "";
    for await (const chunk of source.pipe(unzipped)) {
      const lines = (rest + (chunk as Buffer).toString("latin1")).split("\n");
      rest = lines.pop() ?? "";
      if (rest.length > LINE_MAX) throw damaged(file, "a line of it is too long");
      yield* lines;
    }
    if (rest !== "") yield rest;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") throw new PortreeveError("NOT_FOUND", `there is no ${file}`, "refused", { cause });
    if (cause instanceof PortreeveError) throw cause;
    throw damaged(file, "it cannot be read", cause);
  } finally {
    source.destroy();
  }
}

function checkHeader(file: string, text: string): void {
  const version = /^\{"portreeveBackup":(\d{1,9})\}$/.exec(text)?.[1];
  if (version === undefined) throw damaged(file, "this is no backup");
  if (Number(version) === BACKUP_VERSION) return;
  const message = `${file} is a backup of a newer version (${version})`;
  throw new PortreeveError("LOG_NEWER_VERSION", message, "refused");
}

function parsed(file: string, text: string): z.infer<typeof line> {
  try {
    return line.parse(JSON.parse(text));
  } catch (cause) {
    throw damaged(file, "a line of it is not what a backup holds", cause);
  }
}

async function append(making: string, name: string, data: Buffer): Promise<void> {
  const path = join(making, name);
  await makePrivateDirectory(dirname(path));
  await appendFile(path, data, { mode: 0o600, flush: true });
}

function opened(file: string, id: string, plain: Buffer): OpenedSecret {
  try {
    const { kind, material } = plainSecret.parse(JSON.parse(plain.toString()));
    return { secretId: id, kind, material: new Secret(Buffer.from(material, "base64")) };
  } catch (cause) {
    throw damaged(file, "a secret in it is none", cause);
  }
}

const damaged = (file: string, why: string, cause?: unknown): PortreeveError =>
  new PortreeveError("LOG_CORRUPT", `${file} cannot be restored: ${why}`, "refused", { cause });
