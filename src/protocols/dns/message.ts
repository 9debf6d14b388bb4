import type { DomainName } from "../../lib/domain-name.ts";

/** RFC 1035 §4.1.1. Of the rcode these are the lower four bits; `Message.rcode` is all of it. */
export interface Header {
  readonly id: number;
  /** QR. */
  readonly response: boolean;
  readonly opcode: number;
  readonly authoritative: boolean;
  readonly truncated: boolean;
  readonly recursionDesired: boolean;
  readonly recursionAvailable: boolean;
  /** AD and CD, RFC 4035 §3.2. */
  readonly authenticData: boolean;
  readonly checkingDisabled: boolean;
  readonly rcode: number;
}

export interface Question {
  readonly name: DomainName;
  readonly type: number;
  readonly class: number;
}

export interface DnsRecord {
  readonly name: DomainName;
  readonly type: number;
  readonly class: number;
  /** As it is on the wire: unsigned, 32 bits. */
  readonly ttl: number;
  readonly data: RecordData;
}

/** RDATA. An address is in canonical text. A `kind` that is a type's name is the data of that type and no other. */
export type RecordData =
  | { readonly kind: "A" | "AAAA"; readonly address: string }
  | { readonly kind: "NS" | "CNAME" | "PTR"; readonly target: DomainName }
  | SoaData
  | { readonly kind: "MX"; readonly preference: number; readonly exchange: DomainName }
  | { readonly kind: "TXT"; readonly strings: readonly Uint8Array[] }
  | SrvData
  /** RFC 8659 §4.1. The tag is letters and digits. */
  | { readonly kind: "CAA"; readonly flags: number; readonly tag: string; readonly value: Uint8Array }
  | ServiceData
  /** No RDATA in class ANY or NONE: what RFC 2136 §2.4 and §2.5 write where there is no value. */
  | { readonly kind: "empty" }
  /** RFC 3597: any other type, or a class we know nothing of. Names that were compressed (§4) are not any more. */
  | { readonly kind: "opaque"; readonly bytes: Uint8Array };

/** RFC 1035 §3.3.13. */
export interface SoaData {
  readonly kind: "SOA";
  readonly primary: DomainName;
  readonly mailbox: DomainName;
  readonly serial: number;
  readonly refresh: number;
  readonly retry: number;
  readonly expire: number;
  readonly minimum: number;
}

/** RFC 2782. */
export interface SrvData {
  readonly kind: "SRV";
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly target: DomainName;
}

/** RFC 9460 §2.2. Priority 0 is an alias. */
export interface ServiceData {
  readonly kind: "SVCB" | "HTTPS";
  readonly priority: number;
  readonly target: DomainName;
  /** Ascending by key; values as on the wire. */
  readonly parameters: readonly { readonly key: number; readonly value: Uint8Array }[];
}

export interface EdnsOption {
  readonly code: number;
  readonly data: Uint8Array;
}

/** RFC 6891 §6.1: what the OPT record says. */
export interface Edns {
  /** The UDP payload the sender takes; less than 512 counts as 512 (§6.2.3). */
  readonly udpOctets: number;
  readonly version: number;
  /** DO, RFC 3225. */
  readonly dnssecOk: boolean;
  /** Empty if the version is not 0: then nobody knows their form. */
  readonly options: readonly EdnsOption[];
}

/**
 * A whole message. In an UPDATE (RFC 2136 §2) questions are the zone section, answers the prerequisites, authorities the
 * updates. OPT and TSIG are in no section: `edns` is the one, the other is `OpenMessage.tsig`, as it belongs to the bytes.
 */
export interface Message extends Header {
  /** With the upper eight bits that the OPT record has (RFC 6891 §6.1.3). */
  readonly rcode: number;
  readonly questions: readonly Question[];
  readonly answers: readonly DnsRecord[];
  readonly authorities: readonly DnsRecord[];
  readonly additionals: readonly DnsRecord[];
  readonly edns: Edns | null;
}

/** RFC 8945 §4.2, with where it begins in the message. */
export interface TsigRecord {
  readonly offset: number;
  readonly keyName: DomainName;
  readonly ttl: number;
  readonly algorithm: DomainName;
  /** Seconds since 1970, 48 bits. */
  readonly timeSigned: number;
  readonly fudge: number;
  readonly mac: Uint8Array;
  readonly originalId: number;
  readonly error: number;
  readonly otherData: Uint8Array;
}

export interface OpenMessage {
  readonly message: Message;
  /** Null if the message is not signed. */
  readonly tsig: TsigRecord | null;
}
