import { ownRow } from "../../lib/own-row.ts";
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { TokenScope } from "../../events/account.ts";
import { Secret } from "../../events/secret.ts";
import type { SecretStore } from "../../events/secrets.ts";
import type { Access } from "../../reducers/state.ts";

/** "portreeve_k0123456789ab_…": the prefix lets scanners of leaked secrets find it, the id tells which hash to compare. */
const TOKEN = /^portreeve_(k[0-9a-f]{12})_([A-Za-z0-9_-]{43})$/;
const KEY_BYTES = 32;
const ID_BYTES = 6;

export interface NewToken {
  readonly id: string;
  /** Shown once. */
  readonly token: string;
  /** What to seal. */
  readonly hash: Secret;
}

export function newToken(): NewToken {
  const id = `k${randomBytes(ID_BYTES).toString("hex")}`;
  const token = `portreeve_${id}_${randomBytes(KEY_BYTES).toString("base64url")}`;
  return { id, token, hash: new Secret(hashOf(token)) };
}

export interface TokenHolder {
  readonly id: string;
  readonly scopes: readonly TokenScope[];
  readonly ended: AbortSignal;
}

interface Known {
  readonly hash: Uint8Array;
  readonly abort: AbortController;
  lastUsedAt: number | null;
}

/** Recognises the tokens that the log knows. When each was used last is in memory only. */
export class BearerTokens {
  readonly #access: () => Access;
  readonly #secrets: Pick<SecretStore, "open">;
  readonly #now: () => number;
  readonly #known = new Map<string, Known>();

  constructor(access: () => Access, secrets: Pick<SecretStore, "open">, now: () => number) {
    this.#access = access;
    this.#secrets = secrets;
    this.#now = now;
  }

  /** Who has this token; undefined if nobody (any more). */
  async use(text: string): Promise<TokenHolder | undefined> {
    const id = TOKEN.exec(text)?.[1];
    const token = id === undefined ? undefined : ownRow(this.#access().tokens, id);
    if (token === undefined || this.#isOver(token)) return undefined;
    const known = this.#known.get(token.id) ?? (await this.#learn(token));
    if (!timingSafeEqual(known.hash, hashOf(text)) || this.#access().tokens[token.id] === undefined) return undefined;
    known.lastUsedAt = this.#now();
    return { id: token.id, scopes: token.scopes, ended: known.abort.signal };
  }

  /** Since the start of the program; null if it was not used. */
  lastUsedAt(id: string): number | null {
    return this.#known.get(id)?.lastUsedAt ?? null;
  }

  /** Ends what is open by tokens that were revoked or have run out. */
  sweep(): void {
    for (const [id, { abort }] of this.#known) {
      const token = ownRow(this.#access().tokens, id);
      if (token !== undefined && !this.#isOver(token)) continue;
      this.#known.delete(id);
      abort.abort();
    }
  }

  async #learn({ id, secretId }: { readonly id: string; readonly secretId: string }): Promise<Known> {
    const hash = (await this.#secrets.open(secretId)).expose();
    // Whoever asked at the same time may have been first; what is open hangs on one of both.
    const known = this.#known.get(id) ?? { hash, abort: new AbortController(), lastUsedAt: null };
    this.#known.set(id, known);
    return known;
  }

  #isOver({ expiresAt }: { readonly expiresAt: number | null }): boolean {
    return expiresAt !== null && expiresAt <= this.#now();
  }
}

function hashOf(token: string): Uint8Array {
  return createHash("sha256").update(token).digest();
}
