/** Records of the DNS as text: what events, state, rows and the API hold of them. The octets are made of it at the edge. */

export interface DnsRecordText {
  /** As `nameText` gives it: lower case, without the last dot. */
  readonly name: string;
  /** "A", "TXT"; "TYPE65280" for what has no name here (RFC 3597 §5). */
  readonly type: string;
  /** Seconds. */
  readonly ttl: number;
  /**
   * RDATA in canonical presentation form: fields of RFC 1035 §5.1 with one space between, strings in quotes, names whole and
   * without their last dot, in the case they were given; `\# 2 00ff` for other types (RFC 3597 §5).
   */
  readonly value: string;
}

export const isAddressType = (type: string): boolean => type === "A" || type === "AAAA";

/** How many fields at the start of a value make up what is compared without case (RFC 4343); null: all of them. */
const FIELDS_WITHOUT_CASE: Readonly<Record<string, number | null>> = {
  NS: null,
  CNAME: null,
  PTR: null,
  SOA: null,
  MX: null,
  SRV: null,
  // Priority and target; parameters may be octets of any kind.
  SVCB: 2,
  HTTPS: 2,
};

/** Whether two values in canonical form are the same RDATA: names in it compare without case (RFC 2136 §1.1.1). */
export function sameValue(type: string, a: string, b: string): boolean {
  return a === b || valueKey(type, a) === valueKey(type, b);
}

/** Equal for values that are the same RDATA, and for no others: a key for sets of values of one type. */
export function valueKey(type: string, value: string): string {
  const fields = Object.hasOwn(FIELDS_WITHOUT_CASE, type) ? FIELDS_WITHOUT_CASE[type] : 0;
  if (fields === 0 || fields === undefined) return value;
  let end = fields === null ? value.length : 0;
  // A space within a name is written \032, so every space ends a field.
  for (let left = fields ?? 0; left > 0 && end < value.length; left -= 1) {
    const space = value.indexOf(" ", end + 1);
    end = space < 0 ? value.length : space;
  }
  return value.slice(0, end).toLowerCase() + value.slice(end);
}

/** RFC 2136 §2.4. They are looked at in the order of the message, and the first that fails decides. */
export type Prerequisite =
  | { readonly kind: "name-in-use" | "name-not-in-use"; readonly name: string }
  | { readonly kind: "rrset-exists" | "rrset-absent"; readonly name: string; readonly type: string }
  /** The RRset is exactly these values, whatever their TTL. Gathered, and after all the others (RFC 2136 §3.2.3). */
  | { readonly kind: "rrset-equals"; readonly name: string; readonly type: string; readonly values: readonly string[] }
  /** A name outside of the zone: NOTZONE when its turn comes. */
  | { readonly kind: "outside"; readonly name: string };

/** RFC 2136 §2.5, carried out in the order of the message. */
export type RecordChange =
  | ({ readonly kind: "add" } & DnsRecordText)
  | { readonly kind: "delete-name"; readonly name: string }
  | { readonly kind: "delete-rrset"; readonly name: string; readonly type: string }
  | { readonly kind: "delete-value"; readonly name: string; readonly type: string; readonly value: string };

export interface DnsUpdate {
  readonly zone: string;
  readonly prerequisites: readonly Prerequisite[];
  readonly changes: readonly RecordChange[];
  /** Seconds that were asked for (RFC 9664 §4); null: none were. */
  readonly lease: number | null;
}

/**
 * An RRset is in one message or in none (RFC 2181 §9), of 65,535 octets at most (RFC 1035 §4.2.2). The rest is for the header,
 * the question, aliases that led to it, OPT and TSIG.
 */
export const RRSET_OCTETS_MAX = 60_000;
/** Owner, type, class, TTL and length, and what an address may have more in a message than in text ("::"). */
const RECORD_ROOM = 28;

/** Whether an answer has room for all values of an RRset; in text they are hardly shorter than in a message. */
export const fitsAnswer = (values: readonly string[]): boolean =>
  values.reduce((sum, value) => sum + RECORD_ROOM + value.length, 0) <= RRSET_OCTETS_MAX;
