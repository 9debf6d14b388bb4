import { describe, expect, it } from "vitest";
import { natPmpResultOf, pcpResultOf } from "../../../../src/adapters/pcp-server/refusal-results.ts";
import { ERROR_CODES, type ErrorCode } from "../../../../src/lib/errors.ts";
import { NATPMP_RESULT } from "../../../../src/protocols/natpmp/response.ts";
import { PCP_RESULT } from "../../../../src/protocols/pcp/result.ts";

/** Code → PCP result number, its lifetime, NAT-PMP result number: RFC 6887 §7.4 and RFC 6886 §3.5 by hand. */
const EXPECTED: Readonly<Record<ErrorCode, readonly [number, number, number]>> = {
  CONFIG_INVALID: [8, 30, 4],
  LOG_LOCKED: [8, 30, 4],
  LOG_CORRUPT: [8, 30, 4],
  LOG_RESTORED: [8, 30, 4],
  LOG_WRITE_FAILED: [8, 30, 4],
  LOG_NEWER_VERSION: [8, 30, 4],
  LOG_REVISION_CONFLICT: [8, 30, 4],
  FOREIGN_INSTANCE: [8, 30, 4],
  NOT_READY: [8, 30, 4],
  NOT_SETTLED: [8, 30, 4],
  APPLY_FAILED: [8, 30, 4],
  INVALID_REQUEST: [3, 1800, 2],
  NOT_FOUND: [2, 1800, 2],
  CONFLICT: [8, 30, 4],
  CONFIRMATION_PENDING: [8, 30, 4],
  NOT_UNDOABLE: [8, 30, 4],
  UNDO_CONFLICT: [8, 30, 4],
  NOT_DELEGATED: [5, 1800, 2],
  APPROVAL_PENDING: [2, 1800, 2],
  NOT_AUTHORIZED: [2, 1800, 2],
  NONCE_MISMATCH: [2, 1800, 2],
  NO_EXTERNAL_ADDRESS: [7, 30, 3],
  NO_FREE_PORT: [8, 30, 4],
  PORT_TAKEN: [11, 30, 4],
  HOSTNAME_TAKEN: [192, 30, 4],
  HOSTNAME_UNSUPPORTED: [193, 1800, 2],
  SNI_UNAVAILABLE: [193, 1800, 2],
  PORT_PROTECTED: [11, 30, 4],
  CANNOT_PROVIDE_EXTERNAL: [11, 30, 4],
  QUOTA_EXCEEDED: [10, 30, 4],
  TOO_MANY_TRIES: [8, 30, 4],
  EVENT_QUOTA_EXCEEDED: [10, 30, 4],
  TOO_MANY_FILTERS: [13, 1800, 4],
  UNSUPPORTED_PROTOCOL: [9, 1800, 2],
  BLOCKED: [2, 1800, 2],
  DNS_NAME_IN_USE: [8, 30, 4],
  DNS_NAME_ABSENT: [8, 30, 4],
  DNS_RRSET_EXISTS: [8, 30, 4],
  DNS_RRSET_ABSENT: [8, 30, 4],
  DNS_NOT_ZONE: [8, 30, 4],
  DNS_NOT_AUTHORITATIVE: [8, 30, 4],
  PERMISSION: [8, 30, 4],
  TIMEOUT: [8, 30, 4],
  UNAVAILABLE: [8, 30, 4],
  INTERNAL: [8, 30, 4],
};

describe("results of refusals", () => {
  it("covers every code of ours", () => {
    expect(Object.keys(EXPECTED).toSorted()).toEqual(Object.keys(ERROR_CODES).toSorted());
  });

  it.each(Object.entries(EXPECTED) as [ErrorCode, readonly [number, number, number]][])(
    "says %s in both protocols",
    (code, [pcp, lifetime, natPmp]) => {
      const said = pcpResultOf(code);
      expect([PCP_RESULT[said.result], said.lifetime, NATPMP_RESULT[natPmpResultOf(code)]]).toEqual([
        pcp,
        lifetime,
        natPmp,
      ]);
    },
  );

  it("PCP-S-38 says the remaining lifetime where the refusal knows it", () => {
    expect(pcpResultOf("NONCE_MISMATCH", 517)).toEqual({ result: "NOT_AUTHORIZED", lifetime: 517 });
  });
});
