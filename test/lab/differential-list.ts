/** A way in which the two differ and why that stays. */
export interface ListedDifference {
  /** Who is right, and by which section. "Both": the RFC leaves it open. */
  readonly right: "we" | "both";
  readonly reason: string;
  readonly field: string;
  readonly ours: string;
  readonly theirs: string;
  /** "group/what", "group/start*" or "group/*": each exchange that is meant must show it. */
  readonly on: readonly string[];
}

/** One difference of one field, by all the groups that show it. */
const differ = (
  right: ListedDifference["right"],
  reason: string,
  [field, ours, theirs]: readonly [field: string, ours: string, theirs: string],
  on: string,
): ListedDifference => ({ right, reason, field, ours, theirs, on: on.split(/\s+/) });

const FORM = [
  differ(
    "we",
    "RFC 6887 §8.2: version 2 and less than 24 octets is dropped; NAT-PMP, which miniupnpd falls back to, is version 0",
    ["reply", "none", "natpmp"],
    "pcp-no-header/*",
  ),
  differ(
    "we",
    "RFC 6887 §8.2: a length that is no multiple of 4 is MALFORMED_REQUEST, in a PCP reply",
    ["reply", "pcp", "natpmp"],
    "pcp-map-cut-odd/* pcp-odd-length/* announce-odd/*",
  ),
  differ(
    "we",
    "RFC 6887 §8.2, §9: another version is UNSUPP_VERSION in PCP's layout from two octets on; 0 alone is NAT-PMP",
    ["reply", "pcp", "natpmp"],
    "pcp-version-short/1-4 pcp-version-short/1-8 pcp-version-short/1-12 pcp-version-short/3-4 pcp-version-short/3-8 pcp-version-short/3-12 pcp-version-short/255-4 pcp-version-short/255-8 pcp-version-short/255-12",
  ),
  differ(
    "we",
    "the same, for two octets: that is enough to be answered (RFC 6887 §8.2)",
    ["reply", "pcp", "none"],
    "pcp-version-short/1-2 pcp-version-short/3-2 pcp-version-short/255-2",
  ),
  differ(
    "we",
    "RFC 6887 §9: version 1 was a draft, with another layout; miniupnpd still reads it",
    ["result", "UNSUPP_VERSION", "MALFORMED_OPTION"],
    "pcp-version/1",
  ),
  differ(
    "we",
    "the same, for a header alone",
    ["result", "UNSUPP_VERSION", "MALFORMED_REQUEST"],
    "pcp-version-short/1-24",
  ),
  differ(
    "we",
    "RFC 6887 §7: more than 1100 octets is MALFORMED_REQUEST, whatever is in them",
    ["result", "MALFORMED_REQUEST", "MALFORMED_OPTION"],
    "pcp-too-long/*",
  ),
  differ(
    "we",
    "RFC 6887 §14.1.1, §8.2: the client address is compared for ANNOUNCE too",
    ["result", "ADDRESS_MISMATCH", "SUCCESS"],
    "pcp-mismatch/announce",
  ),
  differ(
    "we",
    "RFC 6887 §8.2: the client address is compared before the opcode is looked at",
    ["result", "ADDRESS_MISMATCH", "UNSUPP_OPCODE"],
    "pcp-mismatch-opcode/5",
  ),
  differ(
    "we",
    "RFC 6887 §11.1: reserved bits of a reply are zero",
    ["reserved", "zero", "not zero"],
    "pcp-map-reserved/*",
  ),
  differ(
    "both",
    "PEER is not served here (RFC 6887 §12 lets it be off)",
    ["result", "UNSUPP_OPCODE", "SUCCESS"],
    "pcp-peer/whole",
  ),
  differ(
    "both",
    "the same: what is not served has no length to judge by",
    ["result", "UNSUPP_OPCODE", "MALFORMED_REQUEST"],
    "pcp-peer/cut pcp-peer/bare",
  ),
];

const ERRORS = [
  differ(
    "we",
    "RFC 6887 §7.4: the lifetime of an error says how long it will last, 30 minutes for this class",
    ["lifetime", "long", "0"],
    `pcp-map-cut/* pcp-version/3 pcp-version/4 pcp-version/9 pcp-version/127 pcp-version/128 pcp-version/254 pcp-version/255
    pcp-version-short/3-24 pcp-version-short/255-24 pcp-opcode/* pcp-opcode-bare/* pcp-mismatch/1* pcp-mismatch/0.0.0.0
    pcp-mismatch/:: pcp-mismatch/255.255.255.255 pcp-mismatch/ipv6 pcp-mismatch-delete/* pcp-all-protocols-port/*
    other-nonce-delete/* delete-all-protocols-port/* option-mandatory/0 option-mandatory/4 option-mandatory/5
    option-mandatory/64 option-mandatory/99 option-mandatory/126 option-mandatory/127 option-mandatory/4-data-4
    option-mandatory/127-data-4 option-mixed/* option-cut/* option-cut-mandatory/* prefer-failure-no-port/*
    prefer-failure-twice/* prefer-failure-data/* third-party/* third-party-delete/* filter-length/*`,
  ),
  differ(
    "we",
    "RFC 6887 §7.4: 30 seconds for this class",
    ["lifetime", "short", "0"],
    "prefer-failure-address/* prefer-failure-low/*",
  ),
  differ(
    "we",
    "RFC 6887 §8.2: an error reply is the request copied, the suggestion with it (§11.1)",
    ["body", "the request's", "another"],
    `pcp-map-cut/44 pcp-map-cut/48 pcp-map-cut/52 pcp-map-cut/56 pcp-version/3 pcp-version/4 pcp-version/9 pcp-version/127
    pcp-version/128 pcp-version/254 pcp-version/255 other-nonce-delete/* prefer-failure-low/*`,
  ),
];

const OPTIONS = [
  differ(
    "we",
    "RFC 6887 §7.3: a reply carries the options that were processed, and no others",
    ["options", "none", "the request's"],
    `pcp-long/* option-optional/1* option-optional/222 option-optional/226 option-optional/254 option-optional/255
    option-optional/200-data-4 option-optional/200-data-200 option-optional/two option-optional/twice option-reserved/optional`,
  ),
  differ(
    "we",
    "the same: PREFER_FAILURE was processed, with its reserved octet 0, and what stands beside it was not",
    ["options", "02000000", "the request's"],
    "prefer-failure-optional/* option-reserved/prefer-failure",
  ),
  differ(
    "we",
    "RFC 6887 §7.3: an option's length leaves out its padding, so it need not be a multiple of 4",
    ["result", "SUCCESS", "MALFORMED_OPTION"],
    "option-optional/200-data-1 option-optional/200-data-2 option-optional/200-data-3 option-optional/200-data-17 option-optional/port-set",
  ),
  differ(
    "we",
    "the same, for one that must be understood",
    ["result", "UNSUPP_OPTION", "MALFORMED_OPTION"],
    "option-mandatory/4-data-1 option-mandatory/4-data-17 option-mandatory/127-data-1 option-mandatory/127-data-17",
  ),
  differ(
    "both",
    "RFC 6887 §13.1: an option that is not implemented is UNSUPP_OPTION, and its contents are not looked at",
    ["result", "UNSUPP_OPTION", "MALFORMED_OPTION"],
    "third-party-length/* third-party-twice/*",
  ),
  differ(
    "we",
    "RFC 6887 §13.3: the prefix of an IPv4 peer has 96 bits at least and no prefix more than 128; miniupnpd enforces none",
    ["result", "MALFORMED_OPTION", "SUCCESS"],
    "filter-prefix/*",
  ),
  differ(
    "we",
    "RFC 6887 §7.3: an option below 128 that this opcode does not know is UNSUPP_OPTION, in ANNOUNCE as well",
    ["result", "UNSUPP_OPTION", "SUCCESS"],
    "announce-options-mandatory/*",
  ),
  differ(
    "we",
    "RFC 6887 §7.3: an option that is longer than the message is MALFORMED_OPTION",
    ["result", "MALFORMED_OPTION", "SUCCESS"],
    "announce-option-cut/length",
  ),
  differ(
    "we",
    "a gateway that routes by TLS name says so: 8 octets of its own after the header (option 225)",
    ["length", "32", "24"],
    "announce/plain announce/again announce/lifetime",
  ),
  differ(
    "we",
    "RFC 6887 §7.3: an option that was ignored does not come back; ours does, as above",
    ["length", "32", "28"],
    "announce-options/optional",
  ),
  differ("we", "the same", ["length", "32", "36"], "announce-options/optional-data"),
  differ(
    "we",
    "RFC 6887 §14.1: the lifetime of ANNOUNCE is 0 in both directions",
    ["lifetime", "0", "3600"],
    "announce/lifetime",
  ),
];

const PORTS = [
  differ(
    "we",
    "RFC 6887 §11.3: what cannot be mapped is UNSUPP_PROTOCOL; miniupnpd takes every protocol that is not TCP for UDP's like",
    ["result", "UNSUPP_PROTOCOL", "SUCCESS"],
    "pcp-protocol/*",
  ),
  differ(
    "we",
    "RFC 6887 §11.3: all ports, or all protocols, that cannot be had are UNSUPP_PROTOCOL: the request is well formed",
    ["result", "UNSUPP_PROTOCOL", "MALFORMED_REQUEST"],
    "pcp-all-ports/6 pcp-all-ports/17 pcp-all-protocols/port-0 pcp-protocol-all-ports/*",
  ),
  differ(
    "we",
    "the same, with a port suggested",
    ["result", "UNSUPP_PROTOCOL", "NOT_AUTHORIZED"],
    "pcp-all-ports/6-suggested pcp-all-ports/17-suggested pcp-all-protocols/suggested",
  ),
  differ(
    "both",
    "policy: miniupnpd is configured as its package documents it, with internal ports from 1024 up",
    ["result", "SUCCESS", "NOT_AUTHORIZED"],
    "pcp-internal-low/* natpmp-internal-low/*",
  ),
  differ(
    "both",
    "policy: the same for external ports; here those are protected that the gateway uses",
    ["externalPort", "as suggested", "another"],
    "pcp-external-low/*",
  ),
  differ(
    "we",
    "RFC 6887 §11.1, §19.1: 5351 is port control's own and never mapped",
    ["externalPort", "another", "as suggested"],
    "pcp-external-own/udp-5351",
  ),
];

const RENEWALS = [
  differ(
    "we",
    "RFC 6887 §11.3 item 1, RFC 6886 §3.3: a mapping that exists is renewed as it is, whatever is suggested now",
    ["externalPort", "another", "as suggested"],
    "renew-other-port/6-suggested renew-other-port/17-suggested natpmp-renew-other-port/1-other natpmp-renew-other-port/2-other",
  ),
  differ(
    "we",
    "RFC 6887 §13.2: what exists has another port than the one insisted on",
    ["result", "CANNOT_PROVIDE_EXTERNAL", "SUCCESS"],
    "renew-prefer-failure-other/*",
  ),
  differ(
    "we",
    "the port is still the mapping's own here; miniupnpd gave it away with the renewal above",
    ["result", "CANNOT_PROVIDE_EXTERNAL", "SUCCESS"],
    "taken-prefer-failure/*",
  ),
  differ(
    "we",
    "RFC 6887 §11.3: the nonce proves whose mapping it is, and another one is NOT_AUTHORIZED",
    ["result", "NOT_AUTHORIZED", "SUCCESS"],
    "other-nonce/*",
  ),
];

const DELETES = [
  differ(
    "we",
    "RFC 6887 §15.1: the suggested address of a delete is ignored and copied",
    ["externalAddress", "the request's", "11.22.33.1"],
    "delete/* delete-again/6-own delete-again/17-own natpmp-then-pcp-delete/*",
  ),
  differ(
    "we",
    "RFC 6887 §15.1: deleting what is not there succeeds, so that it can be repeated",
    ["result", "SUCCESS", "NO_RESOURCES"],
    "delete-unknown/* delete-all-protocols/port-0",
  ),
  differ(
    "we",
    "the same; miniupnpd still has a mapping of that nonce",
    ["result", "SUCCESS", "NOT_AUTHORIZED"],
    "delete-again/6-other-nonce delete-again/17-other-nonce delete-all-ports/*",
  ),
  differ(
    "we",
    "RFC 6887 §11.3, §13.2: PREFER_FAILURE makes no sense in a delete",
    ["result", "MALFORMED_OPTION", "NO_RESOURCES"],
    "delete-prefer-failure/*",
  ),
  differ(
    "both",
    "a protocol that is never mapped is that in a delete as well (RFC 6887 §11.3)",
    ["result", "UNSUPP_PROTOCOL", "NO_RESOURCES"],
    "delete-protocol/*",
  ),
];

const NATPMP = [
  differ(
    "we",
    "RFC 6886 §3.5: the reply to an unknown opcode is the entire request",
    ["length", "12", "8"],
    "natpmp-opcode/*",
  ),
  differ(
    "both",
    "RFC 6886 §3.3 lets a gateway shorten a lifetime; miniupnpd's max_lifetime is for PCP alone",
    ["lifetime", "86400", "as asked"],
    "natpmp-lifetime-long/*",
  ),
  differ("we", "RFC 6886 §3.5: a mapping that failed has lifetime 0", ["lifetime", "0", "as asked"], "natpmp-port-0/*"),
  differ(
    "we",
    "RFC 6886 §3.5: and external port 0",
    ["externalPort", "0", "as suggested"],
    "natpmp-port-0/1-suggested natpmp-port-0/2-suggested",
  ),
  differ(
    "both",
    "RFC 6886 §3.4 has all three 0 in a request to delete all, and a port that is not 0 ignored in a delete: we end nothing by doubt",
    ["result", "NOT_AUTHORIZED", "SUCCESS"],
    "natpmp-delete-all-suggested/*",
  ),
];

export const DIFFERENCES: readonly ListedDifference[] = [
  ...FORM,
  ...ERRORS,
  ...OPTIONS,
  ...PORTS,
  ...RENEWALS,
  ...DELETES,
  ...NATPMP,
];
