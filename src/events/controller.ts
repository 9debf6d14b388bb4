import { z } from "zod";
import { instant } from "./fields.ts";

export const controllerStarted = z.strictObject({
  version: z.string(),
  /** Marks everything we make in the kernel; the same as long as the log is. */
  instanceId: z.string().regex(/^[0-9a-f]{16}$/),
  bootId: z.string().max(64),
  /** CLOCK_BOOTTIME in milliseconds when this was recorded: ties gateway time to it within one boot. */
  uptimeMs: instant,
  /** The log ended with `controller.stopped`. If not, each lease gets its whole lifetime again. */
  afterCleanStop: z.boolean(),
});

/** A clean stop; the record before it holds the exact deadlines. */
export const controllerStopped = z.strictObject({});

/** An operator took over what another instance had made in this network namespace. */
export const instanceTakenOver = z.strictObject({ from: z.string().max(64) });

/** Promises were really lost (a restored copy, a salvaged log): clients must ask again (RFC 6887 §8.5). */
export const epochReset = z.strictObject({ reason: z.string().max(200) });

/**
 * The machine restarted without a stop, and clients may have been told later instants than the log knows: the epochs
 * begin so much earlier that none of them goes back.
 */
export const epochAdvanced = z.strictObject({ byMs: z.number().int().positive() });

/** Nothing else happened for long: only the envelope's instant, from which gateway time goes on after any restart. */
export const clockNoted = z.strictObject({});

export const reconcilerPaused = z.strictObject({ name: z.string().max(64), until: instant });
export const reconcilerResumed = z.strictObject({ name: z.string().max(64) });
