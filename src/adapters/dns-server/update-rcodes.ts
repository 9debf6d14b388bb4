import type { ErrorCode } from "../../lib/errors.ts";
import { RCODE, type RcodeName } from "../../protocols/dns/constants.ts";

/** What each of our codes is in the answer to an UPDATE (RFC 2136 §2.2); what is not here is our trouble: SERVFAIL. */
const RCODES: Partial<Readonly<Record<ErrorCode, RcodeName>>> = {
  DNS_NAME_IN_USE: "YXDOMAIN",
  DNS_NAME_ABSENT: "NXDOMAIN",
  DNS_RRSET_EXISTS: "YXRRSET",
  DNS_RRSET_ABSENT: "NXRRSET",
  DNS_NOT_ZONE: "NOTZONE",
  DNS_NOT_AUTHORITATIVE: "NOTAUTH",
  NOT_AUTHORIZED: "REFUSED",
  APPROVAL_PENDING: "REFUSED",
  QUOTA_EXCEEDED: "REFUSED",
  EVENT_QUOTA_EXCEEDED: "REFUSED",
  NOT_FOUND: "REFUSED",
  BLOCKED: "REFUSED",
  INVALID_REQUEST: "REFUSED",
};

export function updateRcode(code: ErrorCode): number {
  return RCODE[RCODES[code] ?? "SERVFAIL"];
}
