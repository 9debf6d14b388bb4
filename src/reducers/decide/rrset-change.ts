import { fitsAnswer, type RecordChange, RRSET_OCTETS_MAX, sameValue } from "../../lib/dns-record.ts";
import type { Refusal } from "./command.ts";

/** A record while an update is worked out: of the state, or new. */
export interface DraftRecord {
  /** Null until the update is decided. */
  readonly id: string | null;
  readonly type: string;
  readonly ttl: number;
  readonly value: string;
  /** The update said that it is to be there. */
  readonly asserted: boolean;
}

/** What is at a name beside its records, and is not to be changed. */
export interface Fixed {
  /** The name is a zone's apex: SOA and NS are there, and stay (RFC 2136 §3.4.2.2 to 3.4.2.4). */
  readonly apex: boolean;
  /** Types that the name has by itself. */
  readonly types: readonly string[];
}

/** SOA and NS are made by the server: an update of them is passed over, as that of a wrong serial is (RFC 2136 §3.4.2.2). */
const SERVERS_OWN: ReadonlySet<string> = new Set(["SOA", "NS"]);

/** One update RR on the records of its name: RFC 2136 §3.4.2. What it may not do it passes over without a word. */
export function changed(records: readonly DraftRecord[], change: RecordChange, fixed: Fixed): readonly DraftRecord[] {
  switch (change.kind) {
    case "delete-name":
      return [];
    case "delete-rrset":
      return records.filter(({ type }) => type !== change.type);
    case "delete-value":
      return records.filter(({ type, value }) => type !== change.type || !sameValue(type, value, change.value));
    case "add":
      return added(records, change, fixed);
  }
}

function added(
  records: readonly DraftRecord[],
  { type, ttl, value }: Extract<RecordChange, { kind: "add" }>,
  fixed: Fixed,
): readonly DraftRecord[] {
  if (SERVERS_OWN.has(type)) return records;
  const alias = records.find((each) => each.type === "CNAME");
  if (type === "CNAME") {
    const others = fixed.apex || fixed.types.length > 0 || records.some((each) => each.type !== "CNAME");
    if (others) return records;
    const same = alias !== undefined && sameValue(type, alias.value, value) ? alias : null;
    return [{ id: same?.id ?? null, type, ttl, value: same?.value ?? value, asserted: true }];
  }
  if (alias !== undefined) return records;
  // All of an RRset has one TTL, the last that was given (RFC 2181 §5.2).
  const timed = records.map((each) => (each.type === type ? { ...each, ttl } : each));
  const at = timed.findIndex((each) => each.type === type && sameValue(type, each.value, value));
  if (at < 0) return [...timed, { id: null, type, ttl, value, asserted: true }];
  return timed.map((each, index) => (index === at ? { ...each, asserted: true } : each));
}

/** Why an RRset is too long for anybody to be answered; null: it is not. */
export function tooLongTogether(
  name: string,
  type: string,
  rrset: readonly { readonly value: string }[],
): Refusal | null {
  if (fitsAnswer(rrset.map(({ value }) => value))) return null;
  const message = `all ${type} records of ${name} are one answer, which has room for ${RRSET_OCTETS_MAX} octets; make them shorter or fewer`;
  return { code: "QUOTA_EXCEEDED", message };
}
