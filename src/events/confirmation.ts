import { z } from "zod";
import { instant } from "./fields.ts";

/** Stable, derived from the request: "c" and 12 hex digits. */
const id = z.string().regex(/^c[0-9a-f]{12}$/);

/** The change beside which this stands is reverted at `until` unless somebody confirms it. */
export const confirmationAwaited = z.strictObject({
  id,
  /** The records of the change. */
  seqs: z.array(z.number().int().positive()).min(1),
  /** What it changes, as "port m0123456789ab": nothing else may change that meanwhile. */
  objects: z.array(z.string()),
  until: instant,
});

export const confirmationGiven = z.strictObject({ id });

/** The change is reverted, by the records before this one; `kept` is what something has changed meanwhile, so that it stays. */
export const confirmationLapsed = z.strictObject({ id, kept: z.array(z.string()) });
