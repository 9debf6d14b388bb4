import { z } from "zod";
import { seq, time } from "./fields.ts";

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
export const reverts = seq.describe("the first record of the change that is taken back");
