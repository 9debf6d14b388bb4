import { describe, expect, it } from "vitest";
import { exitOf } from "../../../src/cli/exit.ts";
import { ERROR_CODES, type ErrorCode } from "../../../src/lib/errors.ts";

/** Written down by hand from the contract: 1 error, 2 usage, 3 not found, 4 conflict, 5 permission, 7 not settled, 8 a check found a problem. */
const EXITS: Readonly<Record<ErrorCode, number>> = {
  CONFIG_INVALID: 2,
  LOG_LOCKED: 4,
  LOG_CORRUPT: 8,
  LOG_RESTORED: 8,
  LOG_WRITE_FAILED: 1,
  LOG_NEWER_VERSION: 8,
  LOG_REVISION_CONFLICT: 4,
  FOREIGN_INSTANCE: 4,
  NOT_READY: 1,
  NOT_SETTLED: 7,
  APPLY_FAILED: 1,
  INVALID_REQUEST: 2,
  NOT_FOUND: 3,
  CONFLICT: 4,
  CONFIRMATION_PENDING: 4,
  NOT_UNDOABLE: 4,
  UNDO_CONFLICT: 4,
  NOT_DELEGATED: 5,
  APPROVAL_PENDING: 5,
  NOT_AUTHORIZED: 5,
  NONCE_MISMATCH: 5,
  NO_EXTERNAL_ADDRESS: 1,
  NO_FREE_PORT: 4,
  PORT_TAKEN: 4,
  HOSTNAME_TAKEN: 4,
  HOSTNAME_UNSUPPORTED: 2,
  SNI_UNAVAILABLE: 1,
  PORT_PROTECTED: 4,
  CANNOT_PROVIDE_EXTERNAL: 4,
  QUOTA_EXCEEDED: 1,
  TOO_MANY_TRIES: 1,
  EVENT_QUOTA_EXCEEDED: 1,
  TOO_MANY_FILTERS: 1,
  UNSUPPORTED_PROTOCOL: 2,
  BLOCKED: 5,
  DNS_NAME_IN_USE: 4,
  DNS_NAME_ABSENT: 4,
  DNS_RRSET_EXISTS: 4,
  DNS_RRSET_ABSENT: 4,
  DNS_NOT_ZONE: 4,
  DNS_NOT_AUTHORITATIVE: 4,
  PERMISSION: 5,
  TIMEOUT: 7,
  UNAVAILABLE: 1,
  INTERNAL: 1,
};

describe("the exit code", () => {
  it.each(Object.keys(ERROR_CODES) as ErrorCode[])("of %s is the contract's", (code) => {
    expect(exitOf(code)).toBe(EXITS[code]);
  });
});
