import { hash } from "node:crypto";
import { assert } from "../lib/assert.ts";
import { type PendingRecord, type Seq, type StoredRecord, storedRecordSchema } from "./envelope.ts";
import { EVENT_TYPES, type EventType, type PortreeveEvent, type PortreeveRecord } from "./index.ts";
import { parseInstant } from "./instant.ts";
import { corrupt, LogFault } from "./log-fault.ts";
import { UPCASTERS, upcastChain } from "./upcast.ts";

const upcast = upcastChain(EVENT_TYPES, UPCASTERS);

/** Hex SHA-256 over the UTF-8 bytes of `text`, which are the stored bytes. */
export function hashOf(text: string): string {
  return hash("sha256", text, "hex");
}

export interface EncodedRecord {
  /** Exactly what is stored. */
  readonly text: string;
  readonly record: PortreeveRecord;
}

/** A record that could not be read back must not get in: whatever is wrong with it here is our bug. */
export function encodeRecord(pending: PendingRecord<PortreeveEvent>, seq: Seq, prevHash: string): EncodedRecord {
  const { at, source, requestId, causedBy, event } = pending;
  const { type, v, data } = event;
  assert(v === EVENT_TYPES[type]?.v, `"${type}" version ${v} is not the current one`);
  assert(EVENT_TYPES[type].schema.safeParse(data).success, `the data of a "${type}" does not fit its schema`);
  const iso = new Date(at).toISOString();
  const stored: StoredRecord = { seq, at: iso, source, requestId, causedBy, type, v, data, prevHash };
  assert(isStored(stored), `the envelope of a "${type}" is not well formed`);
  const text = JSON.stringify(stored);
  return {
    text,
    record: { seq, at, source, requestId, causedBy, event, prevHash, hash: hashOf(text) },
  };
}

/** The envelope of the record under key `seq`; its data has not been looked at. */
export function parseStored(seq: Seq, text: string): StoredRecord {
  let stored: unknown;
  try {
    stored = JSON.parse(text);
  } catch (cause) {
    throw corrupt(seq, `record ${seq} is not JSON`, cause);
  }
  if (!isStored(stored)) throw corrupt(seq, `the envelope of record ${seq} is not well formed`);
  if (stored.seq !== seq) throw corrupt(seq, `record ${seq} says that it is record ${stored.seq}`);
  return stored;
}

/** The record with its event lifted to the current version and checked. */
export function decodeStored(stored: StoredRecord, hashOfText: string): PortreeveRecord {
  const { seq, at, source, requestId, causedBy, type, v, prevHash } = stored;
  const known = Object.hasOwn(EVENT_TYPES, type) ? EVENT_TYPES[type as EventType] : undefined;
  if (known === undefined || v > known.v) {
    const what = known === undefined ? "an unknown type" : `this version knows it up to ${known.v}`;
    throw new LogFault("LOG_NEWER_VERSION", seq, `record ${seq} is "${type}" version ${v}: ${what}`);
  }
  let lifted = stored.data;
  try {
    if (v < known.v) lifted = upcast(type, v, lifted);
  } catch (cause) {
    throw corrupt(seq, `record ${seq}, "${type}" version ${v}, cannot be lifted to version ${known.v}`, cause);
  }
  const parsed = known.schema.safeParse(lifted);
  if (!parsed.success) throw corrupt(seq, `the data of record ${seq} does not fit "${type}"`, parsed.error);
  const event = { type, v: known.v, data: parsed.data } as PortreeveEvent;
  return {
    seq,
    at: parseInstant(at) as number,
    source,
    requestId,
    causedBy,
    event,
    prevHash,
    hash: hashOfText,
  };
}

const FIELDS = Object.keys(storedRecordSchema.shape).length;
const HASH = /^[0-9a-f]{64}$/;

/** `storedRecordSchema` by hand: replay reads every envelope, and this is several times as fast. A test holds both equal. */
function isStored(value: unknown): value is StoredRecord {
  if (typeof value !== "object" || value === null || Object.keys(value).length !== FIELDS) return false;
  const { seq, at, source, requestId, causedBy, type, v, prevHash } = value as Partial<Record<string, unknown>>;
  return (
    isPositive(seq) &&
    typeof at === "string" &&
    parseInstant(at) !== null &&
    isText(source, 128) &&
    isText(requestId, 128) &&
    (causedBy === null || isPositive(causedBy)) &&
    isText(type, 64) &&
    isPositive(v) &&
    "data" in value &&
    typeof prevHash === "string" &&
    HASH.test(prevHash)
  );
}

const isPositive = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) > 0;

const isText = (value: unknown, lengthMax: number): boolean =>
  typeof value === "string" && value.length > 0 && value.length <= lengthMax;
