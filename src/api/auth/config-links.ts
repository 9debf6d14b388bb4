import type { Profile } from "../../events/device.ts";
import { linkHash, newLink } from "./one-time-links.ts";

const LIFE_MS = 15 * 60_000;
const LINKS_MAX = 100;

/** What a link shows. */
export interface ConfigLink {
  /** Its id. */
  readonly device: string;
  readonly profile: Profile;
  /** Null: the configured one. */
  readonly endpoint: string | null;
}

/** One-time links to configurations of devices. In memory, as sessions are: a restart ends them. */
export class ConfigLinks {
  readonly #now: () => number;
  /** By the hash of their token, oldest first. */
  readonly #links = new Map<string, { readonly link: ConfigLink; readonly expiresAt: number }>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Of a device only the last one counts. */
  issue(link: ConfigLink): { readonly token: string; readonly expiresAt: number } {
    const { token, hash } = newLink();
    const expiresAt = this.#now() + LIFE_MS;
    for (const [other, { link: before }] of this.#links) if (before.device === link.device) this.#links.delete(other);
    this.#links.set(hash, { link, expiresAt });
    for (const oldest of this.#links.keys()) {
      if (this.#links.size <= LINKS_MAX) break;
      this.#links.delete(oldest);
    }
    return { token, expiresAt };
  }

  /** Shows what the link is for, once: it stays usable only if `show` fails. Null: there is no such link. */
  async use<T>(token: string, show: (link: ConfigLink) => Promise<T>): Promise<T | null> {
    const hash = linkHash(token);
    const kept = this.#links.get(hash);
    this.#links.delete(hash);
    if (kept === undefined || kept.expiresAt <= this.#now()) return null;
    try {
      return await show(kept.link);
    } catch (cause) {
      this.#links.set(hash, kept);
      throw cause;
    }
  }
}
