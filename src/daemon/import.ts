import { readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { publicKeyOf } from "../adapters/wireguard/keys.ts";
import type { ImportSource, ImportedDeclaration } from "../cli/programs.ts";
import { FileTooLong, readBoundedText } from "../config/bounded-file.ts";
import { Secret } from "../events/secret.ts";
import { PortreeveError } from "../lib/errors.ts";
import { ImportError } from "../protocols/import/error.ts";
import { parseMiniupnpd } from "../protocols/import/miniupnpd.ts";
import type { Imported, SourceFile } from "../protocols/import/model.ts";
import { parseStartTunnel } from "../protocols/import/starttunnel.ts";
import { parseWgEasy } from "../protocols/import/wg-easy.ts";
import { parseWgQuickFolder } from "../protocols/import/wg-quick.ts";

const FILES_MAX = 16_384;
/** Of all files together. */
const BYTES_MAX = 64 * 1024 * 1024;
const publicOf = (privateKey: string): string => publicKeyOf(new Secret(privateKey));

const PARSERS: Readonly<Record<ImportSource, (files: readonly SourceFile[]) => Imported>> = {
  starttunnel: (files) => parseStartTunnel(only(files).text, publicOf),
  "wg-easy": (files) => parseWgEasy(only(files).text, publicOf),
  miniupnpd: (files) => parseMiniupnpd(only(files).text),
  "wg-quick": (files) => parseWgQuickFolder(files, publicOf),
};

/** Reads another program's set-up; changes nothing, there or here. */
export function readImport(source: ImportSource, path: string): ImportedDeclaration {
  const files = readFiles(path);
  try {
    const { declaration, keys, gatewayKey, notes } = PARSERS[source](files);
    return { body: { declaration, keys: Object.fromEntries(keys), gatewayKey }, notes };
  } catch (cause) {
    if (!(cause instanceof ImportError)) throw cause;
    throw new PortreeveError("INVALID_REQUEST", `${path} cannot be read as ${source}: ${cause.message}`, "refused");
  }
}

function only([file, ...others]: readonly SourceFile[]): SourceFile {
  if (file === undefined || others.length > 0) throw new ImportError("one file is expected, not a folder");
  return file;
}

/** A file, or the *.conf files of a folder. */
function readFiles(path: string): SourceFile[] {
  try {
    if (!statSync(path).isDirectory()) return [{ name: basename(path), text: readBoundedText(path, BYTES_MAX) }];
    const names = readdirSync(path)
      .filter((name) => name.endsWith(".conf"))
      .sort();
    if (names.length > FILES_MAX) throw new Error(`there are more than ${FILES_MAX} files in it`);
    let left = BYTES_MAX;
    return names.map((name) => {
      const file = join(path, name);
      // A pipe that nobody writes to would be waited for without end; whoever names one by itself means it.
      if (!statSync(file).isFile()) throw new Error(`${name} in it is no file`);
      const text = readBoundedText(file, left);
      left -= text.length;
      return { name, text };
    });
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") throw new PortreeveError("NOT_FOUND", `there is no ${path}`, "refused", { cause });
    if (cause instanceof FileTooLong)
      throw new PortreeveError("INVALID_REQUEST", `${path} ${message}`, "refused", { cause });
    throw new PortreeveError("UNAVAILABLE", `${path} cannot be read: ${message}`, "refused", { cause });
  }
}
