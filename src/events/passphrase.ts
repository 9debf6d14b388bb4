import { createCipheriv, createDecipheriv, randomBytes, scrypt } from "node:crypto";
import { z } from "zod";
import { PortreeveError } from "../lib/errors.ts";
import type { Secret } from "./secret.ts";

/** OWASP's equal of argon2id 19 MiB, as for the password. RFC 7914 §2 names the parameters. */
const COST = { N: 2 ** 15, r: 8, p: 3 };
const COST_MAX_BYTES = 64 * 1024 * 1024;
const [SALT_BYTES, KEY_BYTES, IV_BYTES, TAG_BYTES] = [16, 32, 12, 16];
const CIPHER = "aes-256-gcm";

export const lockSchema = z.strictObject({
  algorithm: z.literal("scrypt"),
  N: z
    .number()
    .int()
    .min(2)
    .max(2 ** 15),
  r: z.number().int().min(1).max(8),
  p: z.number().int().min(1).max(8),
  salt: z.string().regex(/^[0-9a-f]{32}$/),
});
export type Lock = z.infer<typeof lockSchema>;

/** Seals for whoever knows a passphrase, and for nobody's master key. */
export class PassphraseSeal {
  readonly lock: Lock;
  readonly #key: Buffer;

  private constructor(lock: Lock, key: Buffer) {
    this.lock = lock;
    this.#key = key;
  }

  static async make(passphrase: Secret, cost: { N: number; r: number; p: number } = COST): Promise<PassphraseSeal> {
    const salt = randomBytes(SALT_BYTES).toString("hex");
    return await PassphraseSeal.of({ algorithm: "scrypt", ...cost, salt }, passphrase);
  }

  static async of(lock: Lock, passphrase: Secret): Promise<PassphraseSeal> {
    const { N, r, p, salt } = lock;
    const key = await new Promise<Buffer>((resolve, reject) => {
      const options = { N, r, p, maxmem: COST_MAX_BYTES };
      scrypt(passphrase.expose(), Buffer.from(salt, "hex"), KEY_BYTES, options, (cause, derived) => {
        if (cause === null) resolve(derived);
        else reject(cause);
      });
    });
    return new PassphraseSeal(lock, key);
  }

  /** `name` is bound into the seal, so that nothing opens under another's name. */
  seal(name: string, plain: Uint8Array): string {
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv(CIPHER, this.#key, iv, { authTagLength: TAG_BYTES }).setAAD(Buffer.from(name));
    const body = Buffer.concat([cipher.update(plain), cipher.final()]);
    return Buffer.concat([iv, cipher.getAuthTag(), body]).toString("base64");
  }

  open(name: string, sealed: string): Buffer {
    const bytes = Buffer.from(sealed, "base64");
    try {
      const iv = bytes.subarray(0, IV_BYTES);
      const decipher = createDecipheriv(CIPHER, this.#key, iv, { authTagLength: TAG_BYTES });
      decipher.setAAD(Buffer.from(name)).setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
      return Buffer.concat([decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES)), decipher.final()]);
    } catch (cause) {
      const message = "the secrets of the backup cannot be opened: it is another passphrase, or they are damaged";
      throw new PortreeveError("INVALID_REQUEST", message, "refused", { cause });
    }
  }
}
