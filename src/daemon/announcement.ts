import type { Logger } from "pino";
import type { LogProblem } from "../api/deps.ts";
import type { OpenApi } from "../api/listener.ts";

/** What whoever started the program waits for, one line each, whatever the log's level. */

interface Serving {
  readonly socket: string;
  readonly sockets: readonly string[];
  readonly degraded: readonly string[];
}

export function sayReady(announce: Logger, api: OpenApi | null, { socket, sockets, degraded }: Serving): void {
  const fields = {
    socket,
    api: api?.address ?? null,
    tokenFile: api?.tokenFile ?? null,
    ...(api?.caFingerprint != null && { caFingerprint: api.caFingerprint }),
    sockets,
    ...(degraded.length > 0 && { degraded }),
  };
  announce.info(fields, "ready");
}

export function saySafeMode(announce: Logger, { code, seq, message, next }: LogProblem): void {
  announce.error({ code, seq, reason: message, next }, "safe-mode");
}

/** Once, and only here: what is kept of it is a hash. */
export async function sayFirstLink(announce: Logger, log: Logger, api: OpenApi | null): Promise<void> {
  const link = await api?.firstLink().catch((cause: unknown): null => {
    log.warn({ err: cause }, "no link to set the password by could be made; `portreeve user link` tries again");
    return null;
  });
  if (link == null) return;
  announce.info({ url: link.url, expiresAt: new Date(link.expiresAt).toISOString() }, "sign-in-link");
}
