import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { open, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { PortreeveError } from "../lib/errors.ts";
import { dataDirAt } from "./data-dir.ts";
import { isMissing, makePrivateDirectory, removeDurably, syncDirectory } from "./durable-file.ts";
import { batchIds, PLACE_BYTES, SecretBatches } from "./secret-batch.ts";
import { Secret } from "./secret.ts";

/** AES-256-GCM as NIST SP 800-38D recommends it: 96-bit IV, 128-bit tag. */
const CIPHER = "aes-256-gcm";
const IV_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;

const sealed = z.strictObject({
  v: z.literal(1),
  kind: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/),
  /** The secret's own key, sealed with the master key; hex of IV, tag, ciphertext. */
  key: z.string().regex(/^[0-9a-f]+$/),
  material: z.string().regex(/^[0-9a-f]+$/),
});
type Sealed = z.infer<typeof sealed>;

export interface NewSecret {
  readonly kind: string;
  readonly material: Secret;
}

/** Secret material outside of events, which hold ids only. Opened with the master key, which is kept elsewhere. */
export interface SecretStore {
  /** Durable when it resolves with the new secret's id. `kind` is a word like "wireguard-key". */
  put(kind: string, material: Secret): Promise<string>;
  /** Many at once, in the order of the ids: durable together for far less than one after the other costs. */
  putAll(secrets: readonly NewSecret[]): Promise<string[]>;
  /** Rejects with NOT_FOUND if the id was never given out or is erased. */
  open(secretId: string): Promise<Secret>;
  /** The ids of all that are kept, but for those that were put and are not named yet: `isNamed` tells. */
  list(isNamed: (secretId: string) => boolean): Promise<string[]>;
  /** Afterwards nothing we keep can open it, with the master key neither. Erasing what is gone is no error. */
  erase(secretId: string): Promise<void>;
}

/** Whether a data directory holds secrets that its master key is needed for. */
export async function hasSecrets(dataDir: string): Promise<boolean> {
  const { secrets } = dataDirAt(dataDir);
  const names = await readdir(secrets).catch((): string[] => []);
  if (names.some((name) => name.endsWith(".json"))) return true;
  return [...(await new SecretBatches(secrets).list(names)).values()].some((ids) => ids.length > 0);
}

/**
 * One file a secret, not keys in LevelDB: there a deleted value lives on in the write-ahead log, in tables until their
 * compaction, and in the copies that are set aside after a crash. A file of its own is overwritten in place and gone. Those
 * that are put together share one, in places that are overwritten in place as well: a sync for each would take seconds.
 */
export function openSecrets(dataDir: string, masterKey: Secret): SecretStore {
  return new SecretFiles(dataDirAt(dataDir).secrets, masterKey);
}

/** A secret with its id and kind, on its way from one master key to another. */
export interface OpenedSecret extends NewSecret {
  readonly secretId: string;
}

/** All that are kept, one after the other, for a backup that seals them otherwise. */
export async function* openAll(dataDir: string, masterKey: Secret): AsyncGenerator<OpenedSecret> {
  const { secrets: directory } = dataDirAt(dataDir);
  const store = new SecretFiles(directory, masterKey);
  for (const secretId of await store.list(() => true)) {
    try {
      yield { secretId, ...(await store.read(secretId)) };
    } catch (cause) {
      // Erased since it was listed: nothing names it any more.
      if (!(cause instanceof PortreeveError && cause.code === "NOT_FOUND")) throw cause;
    }
  }
}

/** Seals secrets under the ids they had: only into a directory that is being made. */
export async function sealAgain(dataDir: string, masterKey: Secret, secrets: readonly OpenedSecret[]): Promise<void> {
  await new SecretFiles(dataDirAt(dataDir).secrets, masterKey).write(secrets);
}

class SecretFiles implements SecretStore {
  readonly #directory: string;
  readonly #masterKey: Secret;
  readonly #batches: SecretBatches;
  /** Put by this process for something that is still being decided: nobody may take them for left-overs. */
  readonly #unnamed = new Set<string>();

  constructor(directory: string, masterKey: Secret) {
    this.#directory = directory;
    this.#masterKey = masterKey;
    this.#batches = new SecretBatches(directory);
  }

  async put(kind: string, material: Secret): Promise<string> {
    const secretId = `s${randomBytes(16).toString("hex")}`;
    await this.write([{ kind, material, secretId }]);
    return secretId;
  }

  async putAll(secrets: readonly NewSecret[]): Promise<string[]> {
    const ids = batchIds(secrets.length);
    const made = secrets.map((each, index) => ({ ...each, secretId: ids[index] as string }));
    const texts = made.map((each) => this.#sealed(each));
    const fit = texts.length > 1 && texts.every((text) => text.length < PLACE_BYTES);
    if (fit) await this.#keep(ids, async () => await this.#batches.write(ids, texts));
    else await this.write(made);
    return ids;
  }

  /** Each in a file of its own. */
  async write(made: readonly OpenedSecret[]): Promise<void> {
    const ids = made.map(({ secretId }) => secretId);
    await this.#keep(ids, async () => {
      for (const each of made) await this.#writeFile(this.#file(each.secretId), this.#sealed(each));
    });
  }

  /** A file that a crash leaves half written bears ids that nobody was told, so it needs no name of its own first. */
  async #keep(ids: readonly string[], write: () => Promise<void>): Promise<void> {
    await makePrivateDirectory(this.#directory);
    for (const secretId of ids) this.#unnamed.add(secretId);
    try {
      await write();
      await syncDirectory(this.#directory);
    } catch (cause) {
      for (const secretId of ids) await this.erase(secretId).catch(() => undefined);
      throw cause;
    }
  }

  #sealed({ kind, material, secretId }: OpenedSecret): string {
    const dataKey = randomBytes(KEY_BYTES);
    const content: Sealed = sealed.parse({
      v: 1,
      kind,
      key: seal(this.#masterKey.expose(), dataKey, context("key", secretId, kind)),
      material: seal(dataKey, material.expose(), context("material", secretId, kind)),
    });
    return JSON.stringify(content);
  }

  async #writeFile(path: string, text: string): Promise<void> {
    const file = await open(path, "wx", 0o600);
    try {
      await file.writeFile(`${text}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  async list(isNamed: (secretId: string) => boolean): Promise<string[]> {
    const names = await readdir(this.#directory).catch((cause: unknown) => {
      if (isMissing(cause)) return [];
      throw cause;
    });
    const alone = names.filter((name) => name.endsWith(".json")).map((name) => name.slice(0, -".json".length));
    const batches = await this.#batches.list(names);
    for (const [name, ids] of batches) if (ids.length === 0) await this.#removeEmpty(name);
    return [...alone, ...[...batches.values()].flat()].filter((id) => {
      if (isNamed(id)) this.#unnamed.delete(id);
      return !this.#unnamed.has(id);
    });
  }

  /** One that is being written has ids that nobody names yet. */
  async #removeEmpty(batch: string): Promise<void> {
    const prefix = batch.slice(0, -".batch".length);
    if ([...this.#unnamed].some((id) => id.startsWith(prefix))) return;
    await removeDurably(join(this.#directory, batch));
  }

  async open(secretId: string): Promise<Secret> {
    return (await this.read(secretId)).material;
  }

  async read(secretId: string): Promise<NewSecret> {
    const alone = await readFile(this.#file(secretId), "utf8").catch((cause: unknown): null => {
      if (!isMissing(cause)) throw cause;
      return null;
    });
    const text = alone ?? (await this.#batches.read(secretId));
    if (text === null) throw new PortreeveError("NOT_FOUND", `there is no secret ${secretId}`, "refused");
    try {
      const { kind, key, material } = sealed.parse(JSON.parse(text));
      const dataKey = unseal(this.#masterKey.expose(), key, context("key", secretId, kind));
      return { kind, material: new Secret(unseal(dataKey, material, context("material", secretId, kind))) };
    } catch (cause) {
      const message = `secret ${secretId} cannot be opened: it is damaged, or sealed with another master key`;
      throw new PortreeveError("UNAVAILABLE", message, "terminal", { cause });
    }
  }

  async erase(secretId: string): Promise<void> {
    const path = this.#file(secretId);
    this.#unnamed.delete(secretId);
    try {
      const { size } = await stat(path);
      const file = await open(path, "r+");
      try {
        await file.write(Buffer.alloc(size), 0, size, 0);
        await file.datasync();
      } finally {
        await file.close();
      }
    } catch (cause) {
      if (isMissing(cause)) return await this.#batches.erase(secretId);
      throw cause;
    }
    await removeDurably(path);
  }

  #file(secretId: string): string {
    // Ids come in through the API, and become a path.
    if (!/^s[0-9a-f]{32}$/.test(secretId)) {
      throw new PortreeveError("NOT_FOUND", "there is no secret with an id of that form", "refused");
    }
    return join(this.#directory, `${secretId}.json`);
  }
}

/** Bound into each seal, so that a blob moved to another secret, place or kind does not open. */
const context = (part: "key" | "material", secretId: string, kind: string): Buffer =>
  Buffer.from(`portreeve secret 1\0${part}\0${secretId}\0${kind}`);

function seal(key: Uint8Array, plain: Uint8Array, aad: Buffer): string {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES }).setAAD(aad);
  const body = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), body]).toString("hex");
}

function unseal(key: Uint8Array, hex: string, aad: Buffer): Buffer {
  const bytes = Buffer.from(hex, "hex");
  const body = bytes.subarray(IV_BYTES + TAG_BYTES);
  const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(aad).setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
  return Buffer.concat([decipher.update(body), decipher.final()]);
}
