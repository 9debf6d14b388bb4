/** RFC 6887 §7.4. */
export const PCP_RESULT = {
  SUCCESS: 0,
  UNSUPP_VERSION: 1,
  NOT_AUTHORIZED: 2,
  MALFORMED_REQUEST: 3,
  UNSUPP_OPCODE: 4,
  UNSUPP_OPTION: 5,
  MALFORMED_OPTION: 6,
  NETWORK_FAILURE: 7,
  NO_RESOURCES: 8,
  UNSUPP_PROTOCOL: 9,
  USER_EX_QUOTA: 10,
  CANNOT_PROVIDE_EXTERNAL: 11,
  ADDRESS_MISMATCH: 12,
  EXCESSIVE_REMOTE_PEERS: 13,
  // Of the private range (RFC 6887 §19.5), with option 224.
  HOSTNAME_TAKEN: 192,
  UNSUPP_HOSTNAME: 193,
} as const;

export type PcpResultName = keyof typeof PCP_RESULT;
export type PcpErrorName = Exclude<PcpResultName, "SUCCESS">;

/** RFC 6887 §7.4: how long errors of each class are said to last. */
const SHORT_SEC = 30;
const LONG_SEC = 1800;

/** CANNOT_PROVIDE_EXTERNAL has no class of its own (it "depends"): what stands in the way may be gone soon. */
const SHORT_LIVED: ReadonlySet<PcpErrorName> = new Set([
  "NETWORK_FAILURE",
  "NO_RESOURCES",
  "USER_EX_QUOTA",
  "CANNOT_PROVIDE_EXTERNAL",
  "HOSTNAME_TAKEN",
]);

/** Seconds for the lifetime field of an error reply, where nothing more exact is known. */
export function errorLifetimeSec(result: PcpErrorName): number {
  return SHORT_LIVED.has(result) ? SHORT_SEC : LONG_SEC;
}

/**
 * RFC 6887 §7.2: whether a request that got this error had been parsed. If not, the reply's reserved field keeps the
 * end of the request's client address.
 */
export function wasParsed(result: PcpErrorName): boolean {
  return result !== "UNSUPP_VERSION" && result !== "MALFORMED_REQUEST" && result !== "MALFORMED_OPTION";
}
