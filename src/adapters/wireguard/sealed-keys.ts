import { createHmac, randomBytes } from "node:crypto";
import type { SecretStore } from "../../events/secrets.ts";
import { textOf } from "./keys.ts";

/** So many files are read at once. */
export const OPEN_AT_ONCE = 64;

/**
 * Answers whether a key in the kernel is the one that a sealed secret holds, without keeping keys: what is known of a
 * secret is a digest with a salt of this process. A secret's material never changes under its id.
 */
export class SealedKeys {
  readonly #secrets: Pick<SecretStore, "open">;
  readonly #salt = randomBytes(32);
  #digests = new Map<string, string>();

  constructor(secrets: Pick<SecretStore, "open">) {
    this.#secrets = secrets;
  }

  /** The key in base64. Rejects as the store does. */
  async open(secretId: string): Promise<string> {
    const text = textOf(await this.#secrets.open(secretId));
    this.#digests.set(secretId, this.#digest(text));
    return text;
  }

  /** Makes `holds` able to answer for these, and forgets all others. What cannot be opened holds nothing. */
  async learn(secretIds: ReadonlySet<string>): Promise<void> {
    this.#digests = new Map([...this.#digests].filter(([secretId]) => secretIds.has(secretId)));
    const unknown = [...secretIds].filter((secretId) => !this.#digests.has(secretId));
    for (let start = 0; start < unknown.length; start += OPEN_AT_ONCE) {
      const some = unknown.slice(start, start + OPEN_AT_ONCE);
      await Promise.all(some.map((secretId) => this.open(secretId).catch(() => undefined)));
    }
  }

  holds(secretId: string, key: string): boolean {
    return this.#digests.get(secretId) === this.#digest(key);
  }

  #digest(key: string): string {
    return createHmac("sha256", this.#salt).update(key).digest("base64");
  }
}
