/**
 * Why an upstream gave no answer. `unreachable`: the path or the server said no. `closed`: the connection ended before
 * the answer. `flooded`: many datagrams that were no answer. `other-case`: an answer that did not keep the case.
 * `malformed`: an answer that is none. `withdrawn`: nobody waits any more.
 */
export type UpstreamFaultKind = "unreachable" | "closed" | "flooded" | "other-case" | "malformed" | "withdrawn";

export class UpstreamFault extends Error {
  override readonly name = "UpstreamFault";
  readonly kind: UpstreamFaultKind;

  constructor(kind: UpstreamFaultKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** One for all: every race that is won withdraws what still runs, and nobody reads where that was. */
export const WITHDRAWN = new UpstreamFault("withdrawn", "nobody waits for it any more");

/** "ECONNREFUSED", "CERT_HAS_EXPIRED": what a system or TLS error is called; otherwise its message. */
export function causeText(cause: unknown): string {
  const { code, message } = cause as { readonly code?: unknown; readonly message?: unknown };
  return typeof code === "string" ? code : String(message ?? cause);
}
