import type { LinkDocument } from "../api/schemas/account.ts";
import type { Cli } from "./cli.ts";
import { whenText } from "./duration.ts";

/** Beside the link: how long it works, and what the browser will ask. */
export function sayLink(cli: Cli, { url, expiresAt, caFingerprint }: LinkDocument): void {
  if (cli.machine !== null) return;
  cli.say(`It works once and ends ${whenText(expiresAt, cli.now)}.`);
  if (/^https?:\/\/(127\.|localhost|\[::1\])/.test(url)) {
    cli.say("Only this machine reaches it: the API listens on loopback (api.listen).");
  }
  if (caFingerprint !== null) {
    cli.say(`The browser will ask about the certificate. Its authority's SHA-256 is\n${caFingerprint}`);
  }
}
