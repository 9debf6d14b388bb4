import { z } from "zod";
import { mutationHeaders, mutationQuery, seq } from "./fields.ts";
import { deviceSchema } from "./device.ts";
import { portSchema } from "./port.ts";
import { subnetSchema } from "./subnet.ts";

const rowChange = z
  .strictObject({
    reconciler: z.string(),
    op: z.enum(["create", "update", "delete"]),
    key: z.string(),
    owners: z.array(z.string()),
    before: z.unknown().describe("the row's spec; null if there is none"),
    after: z.unknown(),
  })
  .meta({ id: "RowChange" });
export type RowChange = z.infer<typeof rowChange>;

/** What a mutation would do: the answer to `?dryRun=true`. */
export const planSchema = z
  .strictObject({
    dryRun: z.literal(true),
    /** The record it was made for: send it as If-Match to be sure that this plan is what happens. */
    seq,
    events: z.array(z.strictObject({ type: z.string(), v: z.number().int(), data: z.unknown() })),
    changes: z.array(rowChange),
  })
  .meta({ id: "Plan" });
export type PlanDocument = z.infer<typeof planSchema>;

/** What a mutation did. */
export const resultSchema = z
  .strictObject({
    seq: seq.describe("the last record of the change; ask with ?wait=<seq> to see it settled"),
    changed: z.boolean().describe("false: it was so already, no event was needed"),
    port: portSchema.nullable().describe("as it is now; null if it is gone or the change was not about one"),
    subnet: subnetSchema.nullable(),
    device: deviceSchema.nullable(),
  })
  .meta({ id: "Result" });
export type ResultDocument = z.infer<typeof resultSchema>;

/** Schema of every mutation: the result, or the plan of a dry run. */
export const mutation = {
  querystring: mutationQuery,
  headers: mutationHeaders,
  response: {
    200: z.union([resultSchema, planSchema]),
    201: resultSchema,
    202: resultSchema,
  },
};
