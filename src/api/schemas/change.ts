import { z } from "zod";
import { seq, time } from "./fields.ts";
import { planSchema, resultSchema } from "./plan.ts";

/** A change that is taken back at `until` unless somebody confirms it. */
export const confirmationSchema = z
  .strictObject({
    id: z.string(),
    until: time,
    seqs: z.array(seq).describe("the records of the change"),
    objects: z.array(z.strictObject({ kind: z.string(), id: z.string(), name: z.string() })),
  })
  .meta({ id: "Confirmation" });
export type ConfirmationDocument = z.infer<typeof confirmationSchema>;

/** Beside the plan or the result of what takes a change back: which one. */
const reverts = seq.describe("the first record of the change that is taken back");
export const revertPlan = planSchema.extend({ reverts }).meta({ id: "RevertPlan" });
export const revertResult = resultSchema.extend({ reverts }).meta({ id: "RevertResult" });
