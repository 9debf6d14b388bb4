/**
 * Every error the world can cause has a stable code from this table. Codes are API: scripts match on them.
 * Messages may change, nothing matches on a message.
 */
export const ERROR_CODES = {
  CONFIG_INVALID: "the configuration file or environment is wrong",
  LOG_LOCKED: "another process has the event log open",
  LOG_CORRUPT: "the event log has a hole, a bad hash or a record that does not decode",
  LOG_RESTORED: "the event log is a restored copy; what was promised after its end is not in it",
  LOG_WRITE_FAILED: "the event log could not be written; nothing was acknowledged",
  LOG_NEWER_VERSION: "the event log was written by a newer version",
  LOG_REVISION_CONFLICT: "the log has moved on since the revision the caller named",
  FOREIGN_INSTANCE: "another Portreeve instance owns this network namespace",
  NOT_READY: "the controller is starting or in safe mode and can promise nothing",
  NOT_SETTLED: "the change is logged but was not effective in time",
  APPLY_FAILED: "the target refused the change; the promise was withdrawn",
  INVALID_REQUEST: "the request is not well formed",
  NOT_FOUND: "there is no such thing",
  CONFLICT: "what is asked for contradicts something there is",
  CONFIRMATION_PENDING: "the object awaits the confirmation of another change",
  NOT_UNDOABLE: "this can never be undone",
  UNDO_CONFLICT: "something has come to depend on the change, or nothing is left of it",
  NOT_AUTHORIZED: "this requester may not do that",
  NOT_DELEGATED: "this requester may not ask in the place of that host",
  APPROVAL_PENDING: "an operator has to say yes first; asking again then succeeds",
  NONCE_MISMATCH: "the mapping belongs to another nonce",
  NO_EXTERNAL_ADDRESS: "the WAN has no public address",
  NO_FREE_PORT: "no external port is free",
  PORT_TAKEN: "the external port is held by someone else",
  HOSTNAME_TAKEN: "the TLS name belongs to another host on that port",
  HOSTNAME_UNSUPPORTED: "this cannot be routed by its TLS name",
  SNI_UNAVAILABLE: "HAProxy, which routes by TLS name, is missing",
  PORT_PROTECTED: "the external port is protected or in use by the gateway itself",
  CANNOT_PROVIDE_EXTERNAL: "the suggested external address and port cannot be given",
  QUOTA_EXCEEDED: "the device has as many mappings or ports as it may have",
  TOO_MANY_FILTERS: "the mapping cannot have these filters of remote peers: they are too many, or names share its port",
  EVENT_QUOTA_EXCEEDED: "the device changes its mappings too often",
  TOO_MANY_TRIES: "there were too many tries lately; wait before the next one",
  UNSUPPORTED_PROTOCOL: "this transport protocol cannot be mapped",
  BLOCKED: "an operator blocked this port",
  DNS_NAME_IN_USE: "a DNS update asked for a name that is not in use, and it is (YXDOMAIN)",
  DNS_NAME_ABSENT: "a DNS update asked for a name that is in use, and it is not (NXDOMAIN)",
  DNS_RRSET_EXISTS: "a DNS update asked for records not to be there, and they are (YXRRSET)",
  DNS_RRSET_ABSENT: "a DNS update asked for records to be there, and they are not, or are others (NXRRSET)",
  DNS_NOT_ZONE: "a DNS update names what is outside of its zone (NOTZONE)",
  DNS_NOT_AUTHORITATIVE: "a DNS update is of a zone that is not ours (NOTAUTH)",
  PERMISSION: "the operating system refused permission",
  TIMEOUT: "an answer did not come in time",
  UNAVAILABLE: "a program or kernel feature that is needed is missing",
  INTERNAL: "a bug in Portreeve",
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/**
 * What the caller can do. `refused`: not ask again like that. `conflict`: read again and decide again.
 * `transient`: try later. `terminal`: wait for a change. `fatal`: the process must stop.
 */
export type Disposition = "refused" | "conflict" | "transient" | "terminal" | "fatal";

export class PortreeveError extends Error {
  override readonly name = "PortreeveError";
  readonly code: ErrorCode;
  readonly disposition: Disposition;

  constructor(code: ErrorCode, message: string, disposition: Disposition, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.disposition = disposition;
  }
}
