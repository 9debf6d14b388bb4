import type { PeerName } from "./dns-differential-reading.ts";

/** A way in which one of the two differs from us and why that stays. */
export interface ListedDifference {
  readonly reason: string;
  readonly peer: PeerName;
  readonly field: string;
  /** A star at the end: anything. */
  readonly ours: string;
  readonly theirs: string;
  /** An exchange, which must show it, or a start with a star, one of which must. */
  readonly on: readonly string[];
}

/** One difference of one field, by all the exchanges that show it. */
const differ = (
  peers: "named" | "knotd" | "both",
  reason: string,
  [field, ours, theirs]: readonly [field: string, ours: string, theirs: string],
  on: string,
): ListedDifference[] =>
  (["named", "knotd"] as const)
    .filter((peer) => peers === "both" || peer === peers)
    .map((peer) => ({ peer, reason, field, ours, theirs, on: on.split(/\s+/) }));

const BAD_RDATA = "U21/a-0 U21/a-3 U21/a-5 U21/aaaa-4 U21/txt-0 U4/prerequisite-and-malformed gen-rdata/*";
const MALFORMED = "RFC 2136 §3.8: the sections of the request or none; what cannot be read is not copied";
const SIGNED =
  "RFC 8945 §5.3: an answer to a request whose signature verifies is signed, whatever else is wrong with it; ours is verified on the octets as they came";

const HEADER = [
  ...differ(
    "both",
    "RFC 1035 §4.1.1: ours is a resolver too and says so; theirs answer their zones only",
    ["flags", "aa ra", "aa"],
    `Q/* T20/query W8/case W11/see gen-query/* U7/see U20/see U23/see U25/see U26/see U27/see U28/see U29/see U30/see U31/see U32/see U33/see U34/see U35/see U38/see U39/see U40/see T4/query T17/see T19/see W9/see`,
  ),
  ...differ("both", "the same, of one that is cut", ["flags", "aa tc ra", "aa tc"], "T20/truncated T20/cut"),
];

const FORM = [
  ...differ("both", "the same, of an error", ["flags", "ra", ""], "T20/wrong W3/* W10/none Q/axfr-udp"),
  ...differ("named", "the same, of an error", ["flags", "ra", ""], "W10/two"),
  ...differ(
    "knotd",
    "RFC 2136 §2.2: all other bits of the header are zero in an answer",
    ["flags", "", "rd cd"],
    "U1/reserved-flags",
  ),
  ...differ(
    "named",
    "the question of an opcode that is not implemented may be copied or not (RFC 1035 §4.1.1 is silent)",
    ["questions", "1", "0"],
    "W3/*",
  ),
  ...differ("both", MALFORMED, ["questions", "0", "1"], `T1/twice ${BAD_RDATA} U21/txt-cut`),
  ...differ("named", MALFORMED, ["questions", "0", "1"], "U6/two"),
  ...differ(
    "knotd",
    "RFC 9619 §4, RFC 2136 §3.1.1: more than one question or zone is FORMERR; knotd is silent",
    ["reply", "answer", "none"],
    "U6/two W10/two",
  ),
  ...differ(
    "knotd",
    "RFC 1035 §4.1.1: FORMERR is what the form of a message is answered with; knotd is silent",
    ["reply", "answer", "none"],
    "W4/counts W5/*",
  ),
  ...differ(
    "named",
    "octets after the last record are no part of a message; named does not look at them",
    ["rcode", "FORMERR", "NOERROR"],
    "W7/trailing",
  ),
  ...differ("named", "the same: it answers the question", ["flags", "", "aa"], "W7/trailing"),
  ...differ("named", "the same", ["answers", "", "data.home.arpa a 192.0.2.1"], "W7/trailing"),
  ...differ("both", MALFORMED, ["questions", "0", "1"], "W6/length W7/trailing"),
];

const SIGNATURES = [
  ...differ("both", SIGNED, ["tsig", "signed", "none"], BAD_RDATA),
  ...differ(
    "named",
    SIGNED,
    ["tsig", "signed", "none"],
    "U6/two U14/any-data U14/none-data U14/class U21/tkey U21/txt-cut U22/data U23/empty",
  ),
  ...differ(
    "knotd",
    SIGNED,
    ["tsig", "signed", "none"],
    "U6/none U6/type-a U7/chaos U7/foreign U7/inside U8/not-forwarded U21/any U21/axfr U21/tkey W3/signed gen-meta/*",
  ),
  ...differ(
    "knotd",
    "RFC 8945 §5.2.4: a MAC that is right as far as it goes is BADTRUNC, signed",
    ["tsig", "BADTRUNC signed", "BADSIG unsigned"],
    "T11/16",
  ),
  ...differ("knotd", "RFC 8945 §5.2.2.1: such a length is FORMERR", ["rcode", "FORMERR", "NOTAUTH"], "T12/*"),
  ...differ("both", "the same: and no TSIG record is in that", ["tsig", "none", "BADSIG unsigned"], "T12/*"),
  ...differ(
    "knotd",
    "RFC 2136 §3.3: who may not is REFUSED",
    ["rcode", "REFUSED", "NOTAUTH"],
    "T14/unsigned T16/denied",
  ),
  ...differ(
    "knotd",
    "RFC 8945 §5.2.1: BADKEY is for a key that is not known; this one is, and may not do that",
    ["tsig", "signed", "BADKEY unsigned"],
    "T16/denied",
  ),
  ...differ(
    "both",
    "RFC 8945 §10: a fudge of more than 300 seconds is not honoured, as it makes repetitions possible for longer",
    ["rcode", "NOTAUTH", "NOERROR"],
    "T18/large-fudge",
  ),
  ...differ("both", "the same", ["tsig", "BADTIME signed", "signed"], "T18/large-fudge"),
];

const UPDATES = [
  ...differ(
    "both",
    "a server device may publish any name, and that is a zone of its own; theirs have one zone",
    ["rcode", "NOERROR", "NOTAUTH"],
    "U7/foreign",
  ),
  ...differ(
    "knotd",
    "RFC 2136 §3.4.1.2: TTL 0 and a value where one must be",
    ["rcode", "FORMERR", "NOERROR"],
    "U22/ttl U23/empty",
  ),
  ...differ(
    "knotd",
    "RFC 1035 §3.3.14: a string is as long as it says",
    ["rcode", "FORMERR", "NOERROR"],
    "U21/txt-cut",
  ),
  ...differ(
    "both",
    "policy: devices publish nine types, of which it is known what they can do to others; RFC 2136 §3.3 has REFUSED for that",
    ["rcode", "REFUSED", "NOERROR"],
    "U25/unknown",
  ),
  ...differ("both", "the same: it is not there", ["rcode", "NXDOMAIN", "NOERROR"], "U25/see"),
  ...differ("both", "the same", ["answers", "", "unknown.home.arpa type65280 \\# 3 010203"], "U25/see"),
  ...differ("both", "the same", ["authorities", "home.arpa soa *", ""], "U25/see"),
  ...differ("both", "RFC 2181 §8: a TTL with the top bit set is 0", ["ttls", "0", "2147483648"], "U26/see"),
  ...differ(
    "knotd",
    "RFC 2136 §3.4.2.2: a record that is there is replaced, its TTL too",
    ["ttls", "90", "60"],
    "U27/see",
  ),
  ...differ("knotd", "the same", ["ttls", "*", "*"], "gen-query/*"),
  ...differ(
    "knotd",
    "RFC 5936 §4.2 leaves open what AXFR over UDP is answered with",
    ["rcode", "REFUSED", "NOTIMP"],
    "Q/axfr-udp",
  ),
  ...differ("knotd", "policy: NSEC is made by who signs a zone", ["rcode", "REFUSED", "NOERROR"], "U29/nsec"),
  ...differ(
    "both",
    "policy: nothing at the apex is a device's, and RFC 2136 §3.3 asks for permission before §3.4 looks at what is there; of a zone that is delegated to the device it is passed over as there",
    ["rcode", "REFUSED", "NOERROR"],
    "U29/apex U32/apex",
  ),
  ...differ(
    "named",
    "SOA and NS are the gateway's, and changes of them are passed over as RFC 2136 §3.4.2.2 and §3.4.2.4 do it; named looks for the address of the new server",
    ["rcode", "NOERROR", "REFUSED"],
    "U34/swap",
  ),
  ...differ(
    "knotd",
    "the same: here it is changed",
    ["answers", "home.arpa ns ns.home.arpa", "home.arpa ns ns2.home.arpa"],
    "U34/see",
  ),
  ...differ(
    "both",
    "RFC 1034 §4.3.2 step 6: additional records are a courtesy, and a resolver's clients ask again",
    ["additionals", "", "ns.home.arpa a 192.168.77.1"],
    "U32/see U34/see",
  ),
  ...differ("knotd", "the same", ["additionals", "", "*"], "gen-query/*"),
];

const REPLAYS = [
  ...differ(
    "both",
    "RFC 8945 §5.2.3 only says SHOULD: theirs carry out an update again that was overheard, ours gives the answer that there was",
    ["rcode", "NXDOMAIN", "NOERROR"],
    "T19/see",
  ),
  ...differ("both", "the same", ["answers", "", "replay.home.arpa a 192.0.2.1"], "T19/see"),
  ...differ("both", "the same", ["authorities", "home.arpa soa *", ""], "T19/see"),
];

const ERROR_FIELDS = [
  ...differ(
    "named",
    "RFC 8945 §4.2 gives the error field of a request no meaning; named says NOERROR, signed, and does nothing",
    ["rcode", "NOERROR", "NXDOMAIN"],
    "T17/see",
  ),
  ...differ("named", "the same", ["answers", "t-error-fields.home.arpa a 192.0.2.1", ""], "T17/see"),
  ...differ("named", "the same", ["authorities", "", "home.arpa soa *"], "T17/see"),
];

const ANSWERS = [
  ...differ(
    "named",
    "RFC 2181 §9: a cut answer is asked again by TCP, and what there is of it is not to be used",
    ["answers", "", "*"],
    "T20/cut",
  ),
  ...differ(
    "both",
    "RFC 9460 §2.2: the name in a SVCB record is never compressed; knotd keeps the pointer, which leads elsewhere in its answers",
    ["rcode", "FORMERR", "NOERROR"],
    "W9/https",
  ),
  ...differ("both", MALFORMED, ["questions", "0", "1"], "W9/https"),
  ...differ("named", "the same: it is there", ["rcode", "NXDOMAIN", "NOERROR"], "W9/see"),
  ...differ("named", "the same", ["answers", "", "w9s.home.arpa https 1 home.arpa"], "W9/see"),
  ...differ("named", "the same", ["authorities", "home.arpa soa *", ""], "W9/see"),
  ...differ("knotd", "the same: it is malformed", ["reply", "answer", "malformed"], "W9/see"),
];

export const DIFFERENCES: readonly ListedDifference[] = [
  ...HEADER,
  ...FORM,
  ...SIGNATURES,
  ...UPDATES,
  ...REPLAYS,
  ...ERROR_FIELDS,
  ...ANSWERS,
];
