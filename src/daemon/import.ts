import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { publicKeyOf } from "../adapters/wireguard/keys.ts";
import type { ImportSource, ImportedDeclaration } from "../cli/programs.ts";
import { Secret } from "../events/secret.ts";
import { PortreeveError } from "../lib/errors.ts";
import { ImportError } from "../protocols/import/error.ts";
import { parseMiniupnpd } from "../protocols/import/miniupnpd.ts";
import type { Imported, SourceFile } from "../protocols/import/model.ts";
import { parseStartTunnel } from "../protocols/import/starttunnel.ts";
import { parseWgEasy } from "../protocols/import/wg-easy.ts";
import { parseWgQuickFolder } from "../protocols/import/wg-quick.ts";

const FILES_MAX = 16_384;
const publicOf = (privateKey: string): string => publicKeyOf(new Secret(privateKey));

const PARSERS: Readonly<Record<ImportSource, (files: readonly SourceFile[]) => Imported>> = {
  starttunnel: (files) => parseStartTunnel(only(files).text, publicOf),
  "wg-easy": (files) => parseWgEasy(only(files).text, publicOf),
  miniupnpd: (files) => parseMiniupnpd(only(files).text),
  "wg-quick": (files) => parseWgQuickFolder(files, publicOf),
};

/** Reads another program's set-up; changes nothing, there or here. */
export async function readImport(source: ImportSource, path: string): Promise<ImportedDeclaration> {
  const files = await readFiles(path);
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
async function readFiles(path: string): Promise<SourceFile[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [{ name: basename(path), text: await readFile(path, "utf8") }];
    const names = (await readdir(path)).filter((name) => name.endsWith(".conf")).sort();
    if (names.length > FILES_MAX) throw new ImportError(`more than ${FILES_MAX} files`);
    return await Promise.all(names.map(async (name) => ({ name, text: await readFile(join(path, name), "utf8") })));
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") throw new PortreeveError("NOT_FOUND", `there is no ${path}`, "refused", { cause });
    throw new PortreeveError("UNAVAILABLE", `${path} cannot be read: ${message}`, "refused", { cause });
  }
}
