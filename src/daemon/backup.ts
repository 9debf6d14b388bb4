import { open } from "node:fs/promises";
import type { BackupRequest, RestoreRequest } from "../cli/programs.ts";
import { type BackupReport, makeBackup } from "../events/backup.ts";
import { loadMasterKey } from "../events/master-key.ts";
import { restoreBackup, type RestoreReport } from "../events/restore.ts";
import { Secret } from "../events/secret.ts";
import { PortreeveError } from "../lib/errors.ts";

const PASSPHRASE_MIN = 8;
const PASSPHRASE_MAX = 1024;

export async function backup(request: BackupRequest): Promise<BackupReport> {
  return await onDisk("the backup cannot be made", () => backUp(request));
}

async function backUp({ file, dataDir, masterKeyFile, passphraseFile }: BackupRequest): Promise<BackupReport> {
  if (passphraseFile === null) return await makeBackup({ dataDir, file, secrets: null });
  const passphrase = await readPassphrase(passphraseFile);
  return await makeBackup({
    dataDir,
    file,
    secrets: { masterKey: await loadMasterKey(masterKeyFile, true), passphrase },
  });
}

export async function restore({
  file,
  dataDir,
  masterKeyFile,
  passphraseFile,
}: RestoreRequest): Promise<RestoreReport> {
  const passphrase = passphraseFile === null ? null : await readPassphrase(passphraseFile);
  const masterKey = () => loadMasterKey(masterKeyFile, false);
  return await onDisk("the backup cannot be restored", () => restoreBackup({ file, dataDir, passphrase, masterKey }));
}

/** A disk that is full and a directory that is not there are no bugs of ours: one line says so. */
async function onDisk<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const { code = "", syscall, message } = cause as NodeJS.ErrnoException;
    if (cause instanceof PortreeveError || syscall === undefined) throw cause;
    const refused = /^(?:EACCES|EPERM|EROFS)$/.test(code);
    const ours = code === "ENOENT" ? "NOT_FOUND" : refused ? "PERMISSION" : "UNAVAILABLE";
    throw new PortreeveError(ours, `${what}: ${message}`, "refused", { cause });
  }
}

/** The first line of a file that only its owner may read: an argument or the environment would show it to everyone. */
async function readPassphrase(path: string): Promise<Secret> {
  const file = await open(path, "r").catch((cause: unknown): never => {
    throw new PortreeveError("NOT_FOUND", `the passphrase file ${path} cannot be read`, "refused", { cause });
  });
  try {
    const { mode } = await file.stat();
    if ((mode & 0o077) !== 0) {
      const message = `${path} may be read or written by others (mode ${(mode & 0o777).toString(8)}): chmod 600 it`;
      throw new PortreeveError("PERMISSION", message, "refused");
    }
    const { buffer, bytesRead } = await file.read(Buffer.alloc(PASSPHRASE_MAX + 1), 0, PASSPHRASE_MAX + 1, 0);
    const [line = ""] = buffer.toString("utf8", 0, bytesRead).split(/\r?\n/);
    if (line.length >= PASSPHRASE_MIN && line.length <= PASSPHRASE_MAX) return new Secret(line);
    const message = `the first line of ${path} must be a passphrase of ${PASSPHRASE_MIN} to ${PASSPHRASE_MAX} characters`;
    throw new PortreeveError("INVALID_REQUEST", message, "refused");
  } finally {
    await file.close();
  }
}
