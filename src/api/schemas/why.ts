import { z } from "zod";
import { seq, time } from "./fields.ts";
import { recordSchema } from "./history.ts";
import { provenanceSchema } from "./provenance.ts";

/** Why something is there, or was: `why KIND KEY`. */
export const whySchema = z
  .strictObject({
    kind: z.string(),
    key: z.string(),
    name: z.string(),
    present: z.boolean(),
    text: z.array(z.string()).describe("the answer in sentences"),
    owners: z
      .array(
        z.strictObject({
          kind: z.string(),
          id: z.string(),
          name: z.string(),
          says: z.record(z.string(), z.string()).describe("what there is to say of it"),
        }),
      )
      .describe("who wants it; of what is gone, who wanted it last"),
    events: z.array(recordSchema).describe("the records that asked for it and changed it, oldest first"),
    gone: z
      .strictObject({ seq, at: time, by: z.string(), type: z.string() })
      .nullable()
      .describe("the record that ended it"),
    rows: provenanceSchema.shape.rows,
  })
  .meta({ id: "Why" });
export type WhyDocument = z.infer<typeof whySchema>;
