import type { TokenScope } from "../../events/account.ts";

/** Who makes a request, as far as it has shown. */
export interface Actor {
  readonly kind: "socket" | "session" | "token" | "first-token" | "stranger";
  /** As the log records it: "api:socket", "api:session:192.168.7.2", "api:token:k0123456789ab". */
  readonly source: string;
  readonly scopes: readonly TokenScope[];
  /** Of the session or token; null for the others. */
  readonly id: string | null;
  /** Aborts when its session or token ends: what it has open ends with it. */
  readonly ended: AbortSignal | null;
}

const ALL: readonly TokenScope[] = ["admin"];

export const STRANGER: Actor = { kind: "stranger", source: "api:stranger", scopes: [], id: null, ended: null };
export const LOCAL: Actor = { kind: "socket", source: "api:socket", scopes: ALL, id: null, ended: null };

export function sessionActor(id: string, address: string, ended: AbortSignal): Actor {
  return { kind: "session", source: `api:session:${address}`, scopes: ALL, id, ended };
}

export function tokenActor(id: string, scopes: readonly TokenScope[], ended: AbortSignal): Actor {
  return { kind: "token", source: `api:token:${id}`, scopes, id, ended };
}

/** The token in the data directory, while there is no account. */
export function firstTokenActor(ended: AbortSignal): Actor {
  return { kind: "first-token", source: "api:token", scopes: ALL, id: null, ended };
}

declare module "fastify" {
  interface FastifyRequest {
    actor: Actor;
  }
}
