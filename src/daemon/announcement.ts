import type { Logger } from "pino";
import type { LogProblem } from "../api/deps.ts";
import type { OpenApi } from "../api/listener.ts";
import { UPNP_HTTP_PORT } from "../lib/upnp-port.ts";
import { SERVER_PORT } from "../protocols/pcp/constants.ts";

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

interface Place {
  readonly interface: string;
  readonly address: string;
}

/** What is open, each where it is. */
export function socketTexts(open: {
  readonly portControl: readonly Place[];
  readonly upnp: readonly Place[];
  readonly dns: readonly (Place & { readonly port: number })[];
  readonly api: readonly string[];
}): string[] {
  const text =
    (name: string, port: number) =>
    ({ interface: served, address }: Place) =>
      `${name} ${served} ${address.includes(":") ? `[${address}]` : address}:${port}`;
  return [
    ...open.portControl.map(text("port control", SERVER_PORT)),
    ...open.upnp.map(text("upnp", UPNP_HTTP_PORT)),
    ...open.dns.map((each) => text("dns", each.port)(each)),
    ...open.api.map((where) => `api ${where}`),
  ];
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
