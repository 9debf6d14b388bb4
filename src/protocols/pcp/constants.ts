/** RFC 6887 §19.1: servers listen here. NAT-PMP (RFC 6886 §3) shares both ports. */
export const SERVER_PORT = 5351;
/** RFC 6887 §19.1: clients listen here for what servers announce by multicast. */
export const CLIENT_PORT = 5350;
/** RFC 6887 §14.1.2, RFC 6886 §3.2.1: where announcements go. */
export const ALL_HOSTS = "224.0.0.1";
/** RFC 6887 §14.1.2. */
export const ALL_NODES = "ff02::1";

export const PCP_VERSION = 2;
/** RFC 6887 §7: a longer message is malformed. */
export const MESSAGE_BYTES_MAX = 1100;
/** RFC 6887 §7.1, §7.2: both headers. */
export const HEADER_BYTES = 24;
/** RFC 6887 §7.1: the top bit of octet 1, set in responses. */
export const RESPONSE_BIT = 0x80;

/** RFC 6887 §19.2. */
export const OPCODE = { announce: 0, map: 1, peer: 2 } as const;

/** RFC 6887 §19.4, RFC 7753 §8; 224 and 225 are from the private range of §19.4. */
export const OPTION = {
  thirdParty: 1,
  preferFailure: 2,
  filter: 3,
  portSet: 130,
  hostname: 224,
  capability: 225,
} as const;

/** RFC 6887 §7.3: codes from here on may be ignored by a server that does not know them. */
export const OPTIONAL_FROM = 128;

/** What an ANNOUNCE reply carries in option 225 where ports can be shared by TLS server name: "S9;" and a version. */
export const CAPABILITY_SNI = Uint8Array.of(0x53, 0x39, 0x3b, 0x01);
