import { z } from "zod";
import { mutationHeaders, mutationQuery, seq, time } from "./fields.ts";
import { deviceSchema } from "./device.ts";
import { recordSchema } from "./dns.ts";
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

const objectChange = z
  .strictObject({
    op: z.enum(["add", "change", "remove"]),
    kind: z.string().describe("port, device, subnet, block …"),
    id: z.string(),
    name: z.string().describe("what it is called"),
    fields: z.array(z.strictObject({ field: z.string(), before: z.string().nullable(), after: z.string().nullable() })),
  })
  .meta({ id: "ObjectChange" });
export type ObjectChange = z.infer<typeof objectChange>;

const planCheck = z
  .strictObject({
    reconciler: z.string(),
    refused: z.array(z.strictObject({ key: z.string(), code: z.string(), message: z.string() })),
    unchecked: z.string().nullable().describe("why it could not be tried without doing it"),
  })
  .meta({ id: "PlanCheck" });
export type PlanCheck = z.infer<typeof planCheck>;

/** What a mutation would do: the answer to `?dryRun=true`. */
export const planSchema = z
  .strictObject({
    dryRun: z.literal(true),
    /** The record it was made for: send it as If-Match to be sure that this plan is what happens. */
    seq,
    events: z.array(z.strictObject({ type: z.string(), v: z.number().int(), data: z.unknown() })),
    objects: z.array(objectChange).describe("what a person would see change, in words"),
    changes: z.array(rowChange),
    checks: z.array(planCheck).describe("a dry run of the changes by the target itself, where there are any"),
    undoable: z.boolean(),
    because: z.string().nullable().describe("why it could not be undone"),
  })
  .meta({ id: "Plan" });
export type PlanDocument = z.infer<typeof planSchema>;

/** What a mutation did. */
export const resultSchema = z
  .strictObject({
    seq: seq.describe("the last record of the change; ask with ?wait=<seq> to see it settled"),
    changed: z.boolean().describe("false: it was so already, no event was needed"),
    port: portSchema.nullable().describe("as it is now; null if it is gone or the change was not about one"),
    ports: z.array(portSchema).describe("all ports that the change was about, as they are now"),
    subnet: subnetSchema.nullable(),
    device: deviceSchema.nullable(),
    record: recordSchema.nullable().describe("of the DNS"),
    notes: z.array(z.string()).describe("what keeps it from working as it stands: sentences"),
    confirmation: z
      .strictObject({ id: z.string(), until: time })
      .nullable()
      .describe("what has to be confirmed, or the change is taken back by itself"),
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
