/** IANA "Domain Name System (DNS) Parameters". */

export const TYPE = {
  A: 1,
  NS: 2,
  MD: 3,
  MF: 4,
  CNAME: 5,
  SOA: 6,
  MB: 7,
  MG: 8,
  MR: 9,
  NULL: 10,
  PTR: 12,
  HINFO: 13,
  MINFO: 14,
  MX: 15,
  TXT: 16,
  RP: 17,
  AFSDB: 18,
  RT: 21,
  SIG: 24,
  KEY: 25,
  PX: 26,
  AAAA: 28,
  NXT: 30,
  SRV: 33,
  NAPTR: 35,
  KX: 36,
  DNAME: 39,
  OPT: 41,
  DS: 43,
  SSHFP: 44,
  RRSIG: 46,
  NSEC: 47,
  DNSKEY: 48,
  DHCID: 49,
  NSEC3: 50,
  NSEC3PARAM: 51,
  TLSA: 52,
  CDS: 59,
  CDNSKEY: 60,
  SVCB: 64,
  HTTPS: 65,
  TKEY: 249,
  TSIG: 250,
  IXFR: 251,
  AXFR: 252,
  MAILB: 253,
  MAILA: 254,
  ANY: 255,
  CAA: 257,
} as const;

const TYPE_NAMES = new Map<number, string>(Object.entries(TYPE).map(([name, value]) => [value, name]));
const UNNAMED_TYPE = /^TYPE(0|[1-9]\d{0,4})$/;

/** RFC 3597 §5: "TYPE65280" for what has no name here. */
export function typeName(type: number): string {
  return TYPE_NAMES.get(type) ?? `TYPE${type}`;
}

export function typeNumber(name: string): number | null {
  const upper = name.toUpperCase();
  if (Object.hasOwn(TYPE, upper)) return TYPE[upper as keyof typeof TYPE];
  const number = Number(UNNAMED_TYPE.exec(upper)?.[1] ?? Number.NaN);
  return number <= 0xffff ? number : null;
}

/** RFC 6895 §3.1: those that name no data a zone could hold; OPT too, and 0, which is none. */
export function isMetaType(type: number): boolean {
  return type === 0 || type === TYPE.OPT || (type >= 128 && type <= 255);
}

export const CLASS = { IN: 1, CH: 3, HS: 4, NONE: 254, ANY: 255 } as const;

export const OPCODE = { QUERY: 0, STATUS: 2, NOTIFY: 4, UPDATE: 5 } as const;

export const RCODE = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  YXDOMAIN: 6,
  YXRRSET: 7,
  NXRRSET: 8,
  NOTAUTH: 9,
  NOTZONE: 10,
  /** RFC 6891 §6.1.3; its upper bits are in the OPT record. */
  BADVERS: 16,
} as const;

export type RcodeName = keyof typeof RCODE;

const RCODE_NAMES = new Map<number, string>(Object.entries(RCODE).map(([name, value]) => [value, name]));

/** "RCODE11" for what has no name here. */
export function rcodeName(rcode: number): string {
  return RCODE_NAMES.get(rcode) ?? `RCODE${rcode}`;
}

/** RFC 8945 §3 and §8: what the error field of a TSIG record says, 0 for none. */
export const TSIG_ERROR = { BADSIG: 16, BADKEY: 17, BADTIME: 18, BADTRUNC: 22 } as const;

export type TsigErrorName = keyof typeof TSIG_ERROR;

/** EDNS option codes: RFC 9664 §4, RFC 8914 §2. */
export const EDNS_OPTION = { UPDATE_LEASE: 2, EXTENDED_ERROR: 15 } as const;

export const HEADER_OCTETS = 12;
/** The least there is of a question: a root name, type and class (RFC 1035 §4.1.2). */
export const QUESTION_OCTETS_MIN = 5;
/** And of a record: also TTL and the length of no RDATA (§4.1.3); an OPT record without options is just that. */
export const RECORD_OCTETS_MIN = 11;
/** Pointers that one name may follow. Who compresses well needs one, who compresses lazily two or three. */
export const HOPS_MAX = 16;
/** RFC 1035 §4.2.1: what a client without EDNS takes over UDP. */
export const UDP_OCTETS_MIN = 512;
/** RFC 9715 §3: what crosses every path unfragmented. */
export const UDP_OCTETS_MAX = 1232;
/** What the two octets before a message on TCP can say. */
export const MESSAGE_OCTETS_MAX = 65_535;
