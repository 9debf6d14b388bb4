import { z } from "zod";
import { EVENT_TYPES, type EventType } from "../../events/index.ts";
import { seq, time } from "./fields.ts";

export const eventTypes = Object.keys(EVENT_TYPES) as [EventType, ...EventType[]];

export const recordSchema = z
  .strictObject({
    seq,
    at: time,
    source: z.string(),
    requestId: z.string(),
    causedBy: seq.nullable(),
    type: z.string(),
    v: z.number().int(),
    data: z.unknown(),
    prevHash: z.string(),
    hash: z.string(),
  })
  .meta({ id: "EventRecord" });
export type RecordDocument = z.infer<typeof recordSchema>;

const fault = z.strictObject({ seq: seq.nullable(), code: z.string(), message: z.string() });

export const logCheck = z
  .strictObject({
    ok: z.boolean(),
    after: seq.describe("records up to this one are neither in the log nor in the archive"),
    records: z.number().int().nonnegative().describe("the last record that was read and found good"),
    head: z.strictObject({ seq, hash: z.string() }),
    faults: z.array(fault),
  })
  .meta({ id: "LogCheck" });
export type LogCheck = z.infer<typeof logCheck>;

export const snapshotSchema = z
  .strictObject({ seq, at: time, chainHash: z.string(), reducerVersion: z.number().int() })
  .meta({ id: "Snapshot" });
export type SnapshotDocument = z.infer<typeof snapshotSchema>;

export const snapshotWithState = snapshotSchema.extend({ state: z.unknown() }).meta({ id: "SnapshotWithState" });

export const snapshotCheck = z
  .strictObject({
    ok: z.boolean(),
    seq,
    /** Hash of the state in the snapshot, and of the fold of the log up to it. */
    hash: z.string().nullable(),
    replayedHash: z.string().nullable(),
    message: z.string(),
  })
  .meta({ id: "SnapshotCheck" });
export type SnapshotCheck = z.infer<typeof snapshotCheck>;

export const stateSchema = z
  .strictObject({
    seq,
    at: time,
    hash: z.string(),
    contentHash: z.string(),
    state: z.record(z.string(), z.unknown()),
  })
  .meta({ id: "State" });
export type StateDocument = z.infer<typeof stateSchema>;

export const stateDiff = z
  .strictObject({
    from: seq,
    to: seq,
    changes: z.array(
      z.strictObject({
        op: z.enum(["add", "change", "remove"]),
        path: z.string().describe("JSON Pointer into the state"),
        before: z.unknown(),
        after: z.unknown(),
      }),
    ),
  })
  .meta({ id: "StateDiff" });
export type StateDiff = z.infer<typeof stateDiff>;
