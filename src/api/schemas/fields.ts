import { z } from "zod";

/** Shapes that several documents share. Times are ISO 8601, durations seconds, addresses canonical text. */

export const time = z.iso.datetime({ precision: 3 });
export const seq = z.number().int().nonnegative();

/** In a query everything is text. */
export const seqParam = z.coerce.number().int().nonnegative();
export const flag = z.enum(["true", "false"]);

export const isoTime = (ms: number): string => new Date(ms).toISOString();
export const isoTimeOrNull = (ms: number | null): string | null => (ms === null ? null : isoTime(ms));

/** Of every GET: answer only when the state has reached this record and the kernel agrees. */
export const waitQuery = {
  wait: seqParam.optional().describe("answer only when this record is settled; 503 NOT_SETTLED after 5 s"),
};

/** Of every mutation. */
export const mutationQuery = z.strictObject({
  dryRun: flag.optional().describe("true: answer the plan, change nothing"),
  wait: flag.optional().describe("false: answer 202 as soon as the change is logged, before the kernel has it"),
});

export const mutationHeaders = z.looseObject({
  "idempotency-key": z
    .string()
    .regex(/^[\x21-\x7e]{1,100}$/, "must be 1 to 100 printable ASCII characters")
    .optional()
    .describe("the same key with the same request gets the same answer and changes nothing twice"),
  "if-match": z
    .string()
    .regex(/^"?\d{1,15}"?$/, "must be the seq that the request was made for")
    .optional()
    .describe("the seq the request was made for; 409 LOG_REVISION_CONFLICT if the log has moved on"),
});
