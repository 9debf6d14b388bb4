import type { ErrorCode } from "../../lib/errors.ts";
import type { UpnpErrorNumber } from "../../protocols/upnp/error.ts";

const FAILED = 501;
const NOT_YOU = 606;
const CONFLICT = 718;
/** No port or no room for one; clients ask again for another, or give up. */
const NO_PORT = 728;
/** Something else than a port mapping of somebody's has the port. */
const OTHERWISE_TAKEN = 729;

/** What each of our codes is on the wire. Those that cannot reach a client are the catch-all. */
const ERRORS: Readonly<Record<ErrorCode, UpnpErrorNumber>> = {
  CONFIG_INVALID: FAILED,
  LOG_LOCKED: FAILED,
  LOG_CORRUPT: FAILED,
  LOG_RESTORED: FAILED,
  LOG_WRITE_FAILED: FAILED,
  LOG_NEWER_VERSION: FAILED,
  LOG_REVISION_CONFLICT: FAILED,
  FOREIGN_INSTANCE: FAILED,
  NOT_READY: FAILED,
  NOT_SETTLED: FAILED,
  APPLY_FAILED: FAILED,
  INVALID_REQUEST: 402,
  NOT_FOUND: 714,
  CONFLICT: FAILED,
  CONFIRMATION_PENDING: FAILED,
  NOT_UNDOABLE: FAILED,
  UNDO_CONFLICT: FAILED,
  NOT_AUTHORIZED: NOT_YOU,
  NOT_DELEGATED: NOT_YOU,
  APPROVAL_PENDING: NOT_YOU,
  NONCE_MISMATCH: NOT_YOU,
  NO_EXTERNAL_ADDRESS: FAILED,
  NO_FREE_PORT: NO_PORT,
  PORT_TAKEN: CONFLICT,
  HOSTNAME_TAKEN: 800,
  HOSTNAME_UNSUPPORTED: 801,
  SNI_UNAVAILABLE: 801,
  PORT_PROTECTED: OTHERWISE_TAKEN,
  CANNOT_PROVIDE_EXTERNAL: CONFLICT,
  QUOTA_EXCEEDED: NO_PORT,
  EVENT_QUOTA_EXCEEDED: NO_PORT,
  TOO_MANY_FILTERS: NO_PORT,
  TOO_MANY_TRIES: FAILED,
  UNSUPPORTED_PROTOCOL: 601,
  BLOCKED: NOT_YOU,
  DNS_NAME_IN_USE: FAILED,
  DNS_NAME_ABSENT: FAILED,
  DNS_RRSET_EXISTS: FAILED,
  DNS_RRSET_ABSENT: FAILED,
  DNS_NOT_ZONE: FAILED,
  DNS_NOT_AUTHORITATIVE: FAILED,
  PERMISSION: FAILED,
  TIMEOUT: FAILED,
  UNAVAILABLE: FAILED,
  INTERNAL: FAILED,
};

export interface Asked {
  /** Of a range that was to be deleted: "nothing there" has a number of its own. */
  readonly range: boolean;
  /** Whether an operator holds what stands in the way. */
  readonly operators: boolean;
}

/** WANIPConnection:2 §2.5.14 to §2.5.21. */
export function upnpErrorOf(code: ErrorCode, { range, operators }: Asked): UpnpErrorNumber {
  if (code === "NOT_FOUND" && range) return 730;
  const number = ERRORS[code];
  return number === CONFLICT && operators ? OTHERWISE_TAKEN : number;
}
