import type { ErrorCode } from "../../lib/errors.ts";
import type { NatPmpResultName } from "../../protocols/natpmp/response.ts";
import { errorLifetimeSec, type PcpErrorName } from "../../protocols/pcp/result.ts";

type Results = readonly [pcp: PcpErrorName, natPmp: Exclude<NatPmpResultName, "SUCCESS">];

const TRY_LATER: Results = ["NO_RESOURCES", "OUT_OF_RESOURCES"];
const QUOTA: Results = ["USER_EX_QUOTA", "OUT_OF_RESOURCES"];
const NOT_YOU: Results = ["NOT_AUTHORIZED", "NOT_AUTHORIZED"];
const NOT_THAT_PORT: Results = ["CANNOT_PROVIDE_EXTERNAL", "OUT_OF_RESOURCES"];
const NOT_THAT_NAME: Results = ["UNSUPP_HOSTNAME", "NOT_AUTHORIZED"];

/** What each of our codes is on the wire. Those that cannot reach a client are the catch-all (RFC 6887 §7.4). */
const RESULTS: Readonly<Record<ErrorCode, Results>> = {
  CONFIG_INVALID: TRY_LATER,
  LOG_LOCKED: TRY_LATER,
  LOG_CORRUPT: TRY_LATER,
  LOG_RESTORED: TRY_LATER,
  LOG_WRITE_FAILED: TRY_LATER,
  LOG_NEWER_VERSION: TRY_LATER,
  LOG_REVISION_CONFLICT: TRY_LATER,
  FOREIGN_INSTANCE: TRY_LATER,
  NOT_READY: TRY_LATER,
  NOT_SETTLED: TRY_LATER,
  APPLY_FAILED: TRY_LATER,
  INVALID_REQUEST: ["MALFORMED_REQUEST", "NOT_AUTHORIZED"],
  NOT_FOUND: NOT_YOU,
  CONFLICT: TRY_LATER,
  CONFIRMATION_PENDING: TRY_LATER,
  NOT_UNDOABLE: TRY_LATER,
  UNDO_CONFLICT: TRY_LATER,
  NOT_AUTHORIZED: NOT_YOU,
  // RFC 6887 §13.1: where nobody lets the sender, the option is not supported.
  NOT_DELEGATED: ["UNSUPP_OPTION", "NOT_AUTHORIZED"],
  APPROVAL_PENDING: NOT_YOU,
  NONCE_MISMATCH: NOT_YOU,
  NO_EXTERNAL_ADDRESS: ["NETWORK_FAILURE", "NETWORK_FAILURE"],
  NO_FREE_PORT: TRY_LATER,
  PORT_TAKEN: NOT_THAT_PORT,
  HOSTNAME_TAKEN: ["HOSTNAME_TAKEN", "OUT_OF_RESOURCES"],
  HOSTNAME_UNSUPPORTED: NOT_THAT_NAME,
  SNI_UNAVAILABLE: NOT_THAT_NAME,
  PORT_PROTECTED: NOT_THAT_PORT,
  CANNOT_PROVIDE_EXTERNAL: NOT_THAT_PORT,
  QUOTA_EXCEEDED: QUOTA,
  TOO_MANY_FILTERS: ["EXCESSIVE_REMOTE_PEERS", "OUT_OF_RESOURCES"],
  EVENT_QUOTA_EXCEEDED: QUOTA,
  TOO_MANY_TRIES: TRY_LATER,
  UNSUPPORTED_PROTOCOL: ["UNSUPP_PROTOCOL", "NOT_AUTHORIZED"],
  BLOCKED: NOT_YOU,
  DNS_NAME_IN_USE: TRY_LATER,
  DNS_NAME_ABSENT: TRY_LATER,
  DNS_RRSET_EXISTS: TRY_LATER,
  DNS_RRSET_ABSENT: TRY_LATER,
  DNS_NOT_ZONE: TRY_LATER,
  DNS_NOT_AUTHORITATIVE: TRY_LATER,
  PERMISSION: TRY_LATER,
  TIMEOUT: TRY_LATER,
  UNAVAILABLE: TRY_LATER,
  INTERNAL: TRY_LATER,
};

/** RFC 6887 §7.4: the result and how long it will last, in seconds; §11.3 lets a refusal know better. */
export function pcpResultOf(code: ErrorCode, retryAfter?: number): { result: PcpErrorName; lifetime: number } {
  const [result] = RESULTS[code];
  return { result, lifetime: retryAfter ?? errorLifetimeSec(result) };
}

/** RFC 6886 §3.5. */
export function natPmpResultOf(code: ErrorCode): Exclude<NatPmpResultName, "SUCCESS"> {
  return RESULTS[code][1];
}
