import { z } from "zod";
import { CONFIRM_WITHIN_MAX_SECONDS } from "../../reducers/decide/confirmation.ts";

/** Shapes that several documents share. Times are ISO 8601, durations seconds, addresses canonical text. */

export const time = z.iso.datetime({ precision: 3 });
export const seq = z.number().int().nonnegative();

const digits = z.string().refine((text) => /^\d{1,15}$/.test(text), "must be a whole number in decimal digits");

/** In a path or a query everything is text. Decimal digits: by `Number` "0x3", "1e3" and "" would do as well. */
export const decimal = (number: z.ZodNumber) =>
  digits
    .transform(Number)
    .pipe(number)
    .meta({ type: "integer", minimum: number.minValue ?? 0, maximum: number.maxValue ?? Number.MAX_SAFE_INTEGER });
/** A schema that transforms has no default in the document, so its description says it. */
export const decimalOr = (number: z.ZodNumber, fallback: number) =>
  decimal(number).default(fallback).describe(`${fallback} if left out`);
export const seqParam = decimal(z.number().int().nonnegative());
export const flag = z.enum(["true", "false"]);

export const managedBy = z.string().nullable().describe("the declaration that made it; null: nobody declared it");

/** Of every GET: answer only when the state has reached this record and the kernel agrees. */
export const waitQuery = {
  wait: seqParam.optional().describe("answer only when this record is settled; 503 NOT_SETTLED after 5 s"),
};

/** Of every mutation. */
export const mutationQuery = z.strictObject({
  dryRun: flag.optional().describe("true: answer the plan, change nothing"),
  wait: flag.optional().describe("false: answer 202 as soon as the change is logged, before the kernel has it"),
  confirmWithin: decimal(z.number().int().min(1).max(CONFIRM_WITHIN_MAX_SECONDS))
    .optional()
    .describe("seconds: the change is taken back by itself unless it is confirmed within them"),
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
