import { z } from "zod";

/** Position in the log. 1 is the first record; 0 means "nothing folded yet". */
export type Seq = number;

/** Hex of fixed width, so that the order of names is the order of records; 14 digits hold any safe integer. */
export const seqHex = (seq: Seq): string => seq.toString(16).padStart(14, "0");

/** A fact, in the past tense, already decided. `v` counts this type's schema, from 1. */
export interface DomainEvent<T extends string = string, V extends number = number, D = unknown> {
  readonly type: T;
  readonly v: V;
  readonly data: D;
}

/** What the log adds to an event. Only the log makes records. */
export interface EventRecord<E extends DomainEvent = DomainEvent> {
  readonly seq: Seq;
  /** Gateway time in Unix milliseconds: the only "now" a reducer may see. Stored as ISO 8601. */
  readonly at: number;
  /** Who said it: "pcp:192.168.7.2", "natpmp:192.168.7.2", "api:socket", "kernel", "clock", "controller". */
  readonly source: string;
  /** The request this came from; events of one request share it. */
  readonly requestId: string;
  /** The record that provoked this one, if one did. */
  readonly causedBy: Seq | null;
  readonly event: E;
  /** Hex SHA-256 of the stored bytes of the record before; 64 zeros for the first. */
  readonly prevHash: string;
  /** Hex SHA-256 of this record's stored bytes. */
  readonly hash: string;
}

/** An event on its way into the log. */
export interface PendingRecord<E extends DomainEvent = DomainEvent> {
  readonly at: number;
  readonly source: string;
  readonly requestId: string;
  readonly causedBy: Seq | null;
  readonly event: E;
}

export const GENESIS_HASH = "0".repeat(64);

/** The stored form, without `hash`: the hash is over exactly these bytes. */
export const storedRecordSchema = z.strictObject({
  seq: z.number().int().positive(),
  at: z.iso.datetime({ precision: 3 }),
  source: z.string().min(1).max(128),
  requestId: z.string().min(1).max(128),
  causedBy: z.number().int().positive().nullable(),
  type: z.string().min(1).max(64),
  v: z.number().int().positive(),
  data: z.unknown(),
  prevHash: z.string().regex(/^[0-9a-f]{64}$/),
});
export type StoredRecord = z.infer<typeof storedRecordSchema>;
