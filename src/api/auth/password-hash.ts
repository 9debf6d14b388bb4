import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { Secret } from "../../events/secret.ts";
import { tooManyTries } from "../problem.ts";

/** OWASP's equal of argon2id 19 MiB: 32 MiB and some 0.3 s a try. RFC 7914 §2 names the parameters. */
export interface ScryptCost {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}
export const COST: ScryptCost = { N: 2 ** 15, r: 8, p: 3 };
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** Twice what `COST` needs (128·N·r, RFC 7914 §2), so that a stored hash of more is refused and not computed. */
const MEMORY_MAX_BYTES = 64 * 1024 * 1024;
/** Besides the one that is computed: more at once would only hold up the others. */
const WAITING_MAX = 4;

const hex = z.string().regex(/^[0-9a-f]{32,128}$/);
const stored = z.strictObject({
  v: z.literal(1),
  algorithm: z.literal("scrypt"),
  N: z.number().int().positive(),
  r: z.number().int().positive(),
  p: z.number().int().positive(),
  salt: hex,
  hash: hex,
});

interface Waiting {
  readonly preferred: boolean;
  readonly start: () => void;
  readonly refuse: () => void;
}

/** Stores and checks passwords, one at a time whoever asks: a flood of tries costs one core's third of a second each. */
export class PasswordHashes {
  readonly #cost: ScryptCost;
  readonly #waiting: Waiting[] = [];
  #busy = false;

  constructor(cost: ScryptCost = COST) {
    this.#cost = cost;
  }

  /** What to seal. */
  async make(password: string): Promise<Secret> {
    const salt = randomBytes(SALT_BYTES);
    const hash = await this.#inTurn(true, () => derive(password, salt, this.#cost));
    const { N, r, p } = this.#cost;
    const text = { v: 1, algorithm: "scrypt", N, r, p, salt: salt.toString("hex"), hash: hash.toString("hex") };
    return new Secret(JSON.stringify(text));
  }

  /**
   * With null, where there is no password, it costs the same and is false. `preferred` goes before others that wait, and
   * takes the place of one of them if all are taken.
   */
  async check(
    password: string,
    sealed: Secret | null,
    preferred: boolean,
  ): Promise<{ readonly ok: boolean; readonly outdated: boolean }> {
    const known = sealed === null ? null : stored.parse(JSON.parse(Buffer.from(sealed.expose()).toString("utf8")));
    const cost = known ?? this.#cost;
    const salt = known === null ? randomBytes(SALT_BYTES) : Buffer.from(known.salt, "hex");
    const hash = await this.#inTurn(preferred, () => derive(password, salt, cost));
    const wanted = known === null ? randomBytes(HASH_BYTES) : Buffer.from(known.hash, "hex");
    const ok = hash.length === wanted.length && timingSafeEqual(hash, wanted) && known !== null;
    const { N, r, p } = this.#cost;
    return { ok, outdated: ok && (cost.N !== N || cost.r !== r || cost.p !== p) };
  }

  async #inTurn<T>(preferred: boolean, work: () => Promise<T>): Promise<T> {
    if (this.#busy) await this.#wait(preferred);
    this.#busy = true;
    try {
      return await work();
    } finally {
      this.#busy = false;
      this.#waiting.shift()?.start();
    }
  }

  #wait(preferred: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const refuse = () => reject(tooManyTries("several sign-ins are being checked at this moment; try again", 2));
      if (this.#waiting.length >= WAITING_MAX) {
        const last = this.#waiting.at(-1);
        if (!preferred || last === undefined || last.preferred) return refuse();
        this.#waiting.pop();
        last.refuse();
      }
      const waiting: Waiting = {
        preferred,
        refuse,
        start: () => {
          // In the same turn as it was freed: nobody else finds it free in between.
          this.#busy = true;
          resolve();
        },
      };
      const place = preferred ? this.#waiting.findIndex((other) => !other.preferred) : -1;
      this.#waiting.splice(place < 0 ? this.#waiting.length : place, 0, waiting);
    });
  }
}

/** NFKC, so that what is typed on another keyboard is the same password (NIST SP 800-63B §3.1.1.2). */
function derive(password: string, salt: Uint8Array, { N, r, p }: ScryptCost): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password.normalize("NFKC"), salt, HASH_BYTES, { N, r, p, maxmem: MEMORY_MAX_BYTES }, (cause, key) => {
      if (cause === null) resolve(key);
      else reject(cause);
    });
  });
}
