import { z } from "zod";
import { claimSource } from "../../events/fields.ts";
import { seq, time } from "./fields.ts";
import { recordSchema } from "./history.ts";
import { portSchema } from "./port.ts";

/** Why a port is there and what it is made of: `why port`. */
export const provenanceSchema = z
  .strictObject({
    port: portSchema,
    notes: z.array(z.string()).describe("what keeps it from working as it stands: sentences"),
    claims: z.array(
      z.strictObject({
        key: z.string(),
        source: claimSource,
        device: z.string().nullable(),
        expiresAt: time.nullable(),
        seq: seq.nullable().describe("the record that made the claim"),
        at: time.nullable(),
        by: z.string().nullable(),
        requestId: z.string().nullable(),
      }),
    ),
    events: z
      .array(recordSchema)
      .describe("the records about it, oldest first, without renewals: the first and the newest"),
    unread: z
      .strictObject({ first: seq, last: seq })
      .nullable()
      .describe("of a life that is too long to be read while others wait: what was not looked through"),
    rows: z.array(
      z.strictObject({
        reconciler: z.string(),
        key: z.string(),
        owners: z.array(z.string()),
        spec: z.unknown(),
        revision: seq,
        status: z.enum(["pending", "done", "error"]),
        attempts: z.number().int(),
        retryAt: time.nullable(),
        error: z.string().nullable(),
        since: time.nullable(),
      }),
    ),
  })
  .meta({ id: "Provenance" });
export type Provenance = z.infer<typeof provenanceSchema>;
