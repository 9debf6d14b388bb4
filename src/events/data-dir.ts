import { join } from "node:path";

export interface DataDir {
  readonly root: string;
  /** LevelDB's. */
  readonly log: string;
  /** A new log while it is being made. */
  readonly beginning: string;
  /** LevelDB's lock file. Never opened by us: closing any descriptor of it drops the process's own lock. */
  readonly lock: string;
  readonly witness: string;
  readonly evidence: string;
  /** There while the log is closed and was closed in order. */
  readonly clean: string;
  /** There after an open that found a fault: the next one verifies the whole chain before it trusts anything. */
  readonly suspect: string;
  /** There from an operator's confirmation until clients are told to ask again. */
  readonly accepting: string;
  /** There from a start until all tables have been looked at: LevelDB may die on the others. */
  readonly unchecked: string;
  readonly snapshots: string;
  /** Records that have left the log. */
  readonly archive: string;
  readonly secrets: string;
}

/** What lies where in a data directory. */
export function dataDirAt(root: string): DataDir {
  const at = (name: string): string => join(root, name);
  return {
    root,
    log: at("log"),
    beginning: at("log.new"),
    lock: at("log/LOCK"),
    witness: at("witness"),
    evidence: at("evidence"),
    clean: at("clean"),
    suspect: at("suspect"),
    accepting: at("accepting"),
    unchecked: at("unchecked"),
    snapshots: at("snapshots"),
    archive: at("archive"),
    secrets: at("secrets"),
  };
}
