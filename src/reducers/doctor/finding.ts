import type { Exception } from "./exception.ts";

/** A warning may be as it is meant; a problem keeps something from working. */
export type FindingLevel = "ok" | "warning" | "problem";

/** One thing that was looked at. */
export interface Finding {
  /** What was checked: API, scripts look for it. */
  readonly check: string;
  readonly level: FindingLevel;
  /** A sentence. */
  readonly message: string;
  /** Where and what exactly, a line each. */
  readonly details: readonly string[];
  /** What to do about it: a sentence. Null where nothing is to be done. */
  readonly fix: string | null;
  /** What `--fix` would add to another firewall. */
  readonly exception: Exception | null;
}

export const ok = (check: string, message: string): Finding => {
  return { check, level: "ok", message, details: [], fix: null, exception: null };
};

export const problem = (check: string, message: string, fix: string, details: readonly string[] = []): Finding => {
  return { check, level: "problem", message, details, fix, exception: null };
};

export const warning = (check: string, message: string, fix: string, details: readonly string[] = []): Finding => {
  return { check, level: "warning", message, details, fix, exception: null };
};
