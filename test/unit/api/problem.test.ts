import { describe, expect, it } from "vitest";
import { httpStatus, problemSchema, RequestProblem } from "../../../src/api/problem.ts";
import { ERROR_CODES, type ErrorCode } from "../../../src/lib/errors.ts";

/** Every code with its status, written down by hand: a new code has to be thought about here as well. */
const STATUSES: Readonly<Record<ErrorCode, number>> = {
  CONFIG_INVALID: 500,
  LOG_LOCKED: 503,
  LOG_CORRUPT: 503,
  LOG_RESTORED: 503,
  LOG_WRITE_FAILED: 503,
  LOG_NEWER_VERSION: 503,
  LOG_REVISION_CONFLICT: 409,
  FOREIGN_INSTANCE: 503,
  NOT_READY: 503,
  NOT_SETTLED: 503,
  APPLY_FAILED: 503,
  INVALID_REQUEST: 400,
  NOT_FOUND: 404,
  CONFLICT: 409,
  CONFIRMATION_PENDING: 409,
  NOT_UNDOABLE: 409,
  UNDO_CONFLICT: 409,
  NOT_DELEGATED: 403,
  APPROVAL_PENDING: 403,
  NOT_AUTHORIZED: 403,
  NONCE_MISMATCH: 403,
  NO_EXTERNAL_ADDRESS: 503,
  NO_FREE_PORT: 409,
  PORT_TAKEN: 409,
  HOSTNAME_TAKEN: 409,
  HOSTNAME_UNSUPPORTED: 400,
  SNI_UNAVAILABLE: 503,
  PORT_PROTECTED: 409,
  CANNOT_PROVIDE_EXTERNAL: 409,
  QUOTA_EXCEEDED: 429,
  TOO_MANY_TRIES: 429,
  EVENT_QUOTA_EXCEEDED: 429,
  TOO_MANY_FILTERS: 429,
  UNSUPPORTED_PROTOCOL: 400,
  BLOCKED: 403,
  DNS_NAME_IN_USE: 409,
  DNS_NAME_ABSENT: 409,
  DNS_RRSET_EXISTS: 409,
  DNS_RRSET_ABSENT: 409,
  DNS_NOT_ZONE: 409,
  DNS_NOT_AUTHORITATIVE: 409,
  PERMISSION: 500,
  TIMEOUT: 504,
  UNAVAILABLE: 503,
  INTERNAL: 500,
};

describe("a problem document", () => {
  it.each(Object.keys(ERROR_CODES) as ErrorCode[])("says %s by its HTTP status and is well formed", (code) => {
    const { problem } = new RequestProblem({ code, message: "why", retryAfter: 3, conflicts: ["m1"] });
    expect(httpStatus(code)).toBe(STATUSES[code]);
    expect(problemSchema.parse(problem)).toMatchObject({
      status: STATUSES[code],
      code,
      retryAfter: 3,
      conflicts: ["m1"],
    });
    expect(problem.title).not.toBe("Error");
  });
});
