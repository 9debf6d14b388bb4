import type { TokenScope } from "../../events/account.ts";

/**
 * What a route asks of who calls it. `open`: nothing. `local`: the Unix socket, which only the machine's own people
 * reach. The others are what a token may have, and a session has all of them.
 */
export type Scope = "open" | TokenScope | "local";

const RANKS: Readonly<Record<TokenScope, number>> = { read: 1, operate: 2, admin: 3 };

/** Each scope includes the ones below it. */
export function includes(scopes: readonly TokenScope[], wanted: TokenScope): boolean {
  return scopes.some((scope) => RANKS[scope] >= RANKS[wanted]);
}

declare module "fastify" {
  interface FastifyContextConfig {
    /** Every route has to say one; a route that does not fails the start. */
    scope?: Scope;
  }
}
