import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { PortreeveError } from "../../lib/errors.ts";
import type { ApiDeps } from "../deps.ts";
import type { ServerIdentity, Shown } from "./identity.ts";

interface Files {
  readonly certificate: string;
  readonly key: string;
}

/** A certificate that somebody else renews, certbot say: read again whenever its files change. */
export async function readImported(files: Files, { log }: Pick<ApiDeps, "log">): Promise<ServerIdentity> {
  let shown = await read(files);
  let version = await versionOf(files);
  return {
    authority: null,
    get shown() {
      return shown;
    },
    async renew() {
      try {
        const now = await versionOf(files);
        if (now === version) return null;
        const next = await read(files);
        [shown, version] = [next, now];
        return shown;
      } catch (cause) {
        // Half of the pair is there, or it is gone: the old one is good until both are.
        log.warn({ err: cause }, "the new certificate could not be read; the one before is still shown");
        return null;
      }
    },
  };
}

async function versionOf({ certificate, key }: Files): Promise<string> {
  const stats = await Promise.all([stat(certificate), stat(key)]);
  return stats.map(({ mtimeMs, ino, size }) => `${mtimeMs} ${ino} ${size}`).join();
}

async function read({ certificate, key }: Files): Promise<Shown> {
  try {
    if (((await stat(key)).mode & 0o007) !== 0) throw new Error(`${key} may be read by everyone: chmod o= it`);
    const [cert, keyText] = await Promise.all([readFile(certificate, "utf8"), readFile(key, "utf8")]);
    if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(keyText))) {
      throw new Error(`${key} is not the key of the first certificate in ${certificate}`);
    }
    return { cert, key: keyText };
  } catch (cause) {
    const message = `api.tls cannot be used: ${(cause as Error).message}`;
    throw new PortreeveError("CONFIG_INVALID", message, "terminal", { cause });
  }
}
