import { unreachable } from "../lib/assert.ts";
import type { ErrorCode } from "../lib/errors.ts";

/** Exit codes are API: scripts branch on them. */
export const EXIT = {
  ok: 0,
  error: 1,
  usage: 2,
  notFound: 3,
  conflict: 4,
  permission: 5,
  unreachable: 6,
  notSettled: 7,
  problemFound: 8,
  planHasChanges: 10,
} as const;

/** What they say, for the manual. */
export const EXIT_MEANING: Readonly<Record<keyof typeof EXIT, string>> = {
  ok: "it is done",
  error: "an error",
  usage: "the command line or the configuration is wrong",
  notFound: "there is no such thing",
  conflict: "somebody else has it, or the log has moved on",
  permission: "this may not be done",
  unreachable: "the daemon can't be reached",
  notSettled: "it is logged and was not effective in time, or only part of it was done",
  problemFound: "a check found a problem",
  planHasChanges: "a plan that would change something",
};

/** The one place that says what an error code is as an exit code. */
export function exitOf(code: ErrorCode): number {
  switch (code) {
    case "CONFIG_INVALID":
    case "INVALID_REQUEST":
    case "UNSUPPORTED_PROTOCOL":
    case "HOSTNAME_UNSUPPORTED":
      return EXIT.usage;
    case "NOT_FOUND":
      return EXIT.notFound;
    case "LOG_REVISION_CONFLICT":
    case "CONFIRMATION_PENDING":
    case "NOT_UNDOABLE":
    case "UNDO_CONFLICT":
    case "LOG_LOCKED":
    case "FOREIGN_INSTANCE":
    case "CONFLICT":
    case "PORT_TAKEN":
    case "PORT_PROTECTED":
    case "NO_FREE_PORT":
    case "CANNOT_PROVIDE_EXTERNAL":
    case "HOSTNAME_TAKEN":
    case "DNS_NAME_IN_USE":
    case "DNS_NAME_ABSENT":
    case "DNS_RRSET_EXISTS":
    case "DNS_RRSET_ABSENT":
    case "DNS_NOT_ZONE":
    case "DNS_NOT_AUTHORITATIVE":
      return EXIT.conflict;
    case "NOT_AUTHORIZED":
    case "NOT_DELEGATED":
    case "APPROVAL_PENDING":
    case "NONCE_MISMATCH":
    case "BLOCKED":
    case "PERMISSION":
      return EXIT.permission;
    case "NOT_SETTLED":
    case "TIMEOUT":
      return EXIT.notSettled;
    case "LOG_CORRUPT":
    case "LOG_RESTORED":
    case "LOG_NEWER_VERSION":
      return EXIT.problemFound;
    case "LOG_WRITE_FAILED":
    case "NOT_READY":
    case "APPLY_FAILED":
    case "NO_EXTERNAL_ADDRESS":
    case "QUOTA_EXCEEDED":
    case "TOO_MANY_TRIES":
    case "TOO_MANY_FILTERS":
    case "EVENT_QUOTA_EXCEEDED":
    case "SNI_UNAVAILABLE":
    case "UNAVAILABLE":
    case "INTERNAL":
      return EXIT.error;
    default:
      return unreachable(code);
  }
}

/** Ends a command: what happened and why, what to do next, and the exit code. */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly exitCode: number;
  readonly next: string | null;

  constructor(exitCode: number, message: string, next: string | null = null, options?: { cause?: unknown }) {
    super(message, options);
    this.exitCode = exitCode;
    this.next = next;
  }
}

export const usage = (message: string, next: string | null = null): Failure => new Failure(EXIT.usage, message, next);
