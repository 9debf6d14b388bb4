import { createHash, randomBytes } from "node:crypto";
import type { ApiDeps } from "../deps.ts";
import type { HostNames } from "../host-names.ts";
import { forbidden } from "../problem.ts";
import { neighbourhood } from "./client-address.ts";
import { LoginLimits } from "./login-limits.ts";
import { recorded, type Visitor } from "./recorded.ts";

/** So many that nobody finds one by trying. */
const TOKEN_BYTES = 32;

/** The secret of a link is in the link alone; what is kept to know it by is a hash. */
export function newLink(): { readonly token: string; readonly hash: string } {
  const token = randomBytes(TOKEN_BYTES).toString("base64url");
  return { token, hash: linkHash(token) };
}

export const linkHash = (token: string): string => createHash("sha256").update(token).digest("hex");

/**
 * The token is in the fragment, so that no server's log, no proxy and no Referer ever has it, and whoever only looks at
 * where a link leads, as messengers do, uses none up: the page sends it when a person wants what it is for.
 */
export const linkUrl = (names: Pick<HostNames, "url">, page: string, token: string): string =>
  `${names.url}${page}#${token}`;

/** Those who come by a link. Wrong ones are slowed down, apart from sign-ins: neither is in the way of the other. */
export class LinkVisits {
  readonly #deps: Pick<ApiDeps, "clock" | "requestLog">;
  readonly #limits: LoginLimits;

  constructor(deps: Pick<ApiDeps, "clock" | "requestLog">) {
    this.#deps = deps;
    this.#limits = new LoginLimits(() => deps.clock.now(), { what: "links that were tried", delayFirstMs: 0 });
  }

  /** `use` resolves with null if the token is of no link. */
  async during<T extends object>(
    visitor: Visitor,
    what: { readonly request: string; readonly done: string },
    use: () => Promise<T | null>,
  ): Promise<T> {
    return await recorded(this.#deps, visitor, what, async () => {
      const attempt = this.#limits.begin(neighbourhood(visitor.address));
      try {
        const result = await use();
        if (result !== null) {
          attempt.succeeded();
          return result;
        }
        attempt.failed();
        throw forbidden("this link was used, has ended, or never was one");
      } finally {
        attempt.abandoned();
      }
    });
  }
}
