import type { ExceptionDocument } from "../api/schemas/doctor.ts";
import type { LoadedConfig } from "../config/load.ts";
import type { BackupReport } from "../events/backup.ts";
import type { RestoreReport } from "../events/restore.ts";
import type { Acceptance } from "../events/leveldb/restored.ts";
import type { Salvage } from "../events/leveldb/salvage.ts";
import type { LogVerdict } from "../events/leveldb/verify.ts";

/** What the command line starts itself instead of asking the daemon: given by the entry point, loaded when needed. */
export interface Programs {
  /** Until a signal ends it; resolves with the exit code. */
  run(options: { readonly loaded: LoadedConfig; readonly takeOver: boolean }): Promise<number>;
  /** Folds a copy of the log of a data directory. */
  replay(dataDir: string, to: number | null): Promise<ReplayReport>;
  /** Reads a copy of the log of a data directory. */
  verifyLog(dataDir: string): Promise<LogVerdict>;
  /** What can be made of a damaged data directory, or of a snapshot in it. */
  planSalvage(dataDir: string, restore: number | "newest" | null): Promise<Salvage>;
  /** Goes on from where the log of a data directory ends. */
  acceptLog(dataDir: string): Promise<Acceptance>;
  /** Lets what is dropped pass in another firewall of this machine. */
  addException(exception: ExceptionDocument): Promise<void>;
  /** What was added so, each as a line, and what takes all of it away. */
  findExceptions(): Promise<{ readonly found: readonly string[]; readonly remove: () => Promise<void> }>;
  /** Reads what another program has, as a request for `/declaration`. */
  readImport(source: ImportSource, path: string): Promise<ImportedDeclaration>;
  /** Puts a data directory into one file, whether its daemon runs or not. */
  backup(request: BackupRequest): Promise<BackupReport>;
  /** Makes the data directory of a backup. */
  restore(request: RestoreRequest): Promise<RestoreReport>;
  /** Removes what the instance of this data directory made in the kernel, and nothing else. */
  teardown(dataDir: string): Promise<void>;
}

/** What a data directory's log folds into. */
export interface ReplayReport {
  readonly seq: number;
  /** Gateway time of record `seq`, Unix milliseconds. */
  readonly at: number;
  readonly hash: string;
  readonly contentHash: string;
  readonly state: Readonly<Record<string, unknown>>;
  /** Invariants that do not hold. */
  readonly faults: readonly string[];
  /** The head witness knows of this newer record: a copy of a running daemon's directory, or a lost tail. */
  readonly witnessAhead: number | null;
}

export const IMPORT_SOURCES = ["starttunnel", "wg-quick", "wg-easy", "miniupnpd"] as const;
export type ImportSource = (typeof IMPORT_SOURCES)[number];

export interface ImportedDeclaration {
  /** With private keys: for the socket, and for nobody's eyes. */
  readonly body: { readonly declaration: object; readonly keys: object; readonly gatewayKey: string | null };
  /** What is not imported, and what has to be set besides: sentences. */
  readonly notes: readonly string[];
}

export interface BackupRequest {
  readonly file: string;
  readonly dataDir: string;
  readonly masterKeyFile: string;
  /** Null: without secrets. */
  readonly passphraseFile: string | null;
}
export type RestoreRequest = BackupRequest;
