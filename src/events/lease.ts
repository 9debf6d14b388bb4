import { z } from "zod";
import { instant, lifetime } from "./fields.ts";
import { claim } from "./mapping.ts";

const { filters, description, enabled } = claim.shape;

/** A further claim joins a mapping that exists. */
export const leaseGranted = z.strictObject({ mappingId: z.string(), claim });

/** The promised lifetime grew (a restart must honour it), an operator set another end, or the client asked for something else. */
export const leaseChanged = z.strictObject({
  mappingId: z.string(),
  claimKey: z.string(),
  lifetime: lifetime.nullable(),
  expiresAt: instant.nullable(),
  filters: filters.optional(),
  description: description.optional(),
  enabled: enabled.optional(),
});

/** Deadlines that renewals moved since they were last written: at most one a minute, and exact at a clean stop. */
export const leasesRenewed = z.strictObject({
  deadlines: z.array(z.strictObject({ mappingId: z.string(), claimKey: z.string(), expiresAt: instant })).min(1),
});

/**
 * Why a claim ended before its time. `client`: it asked. `replaced`: the oldest of too many nonces of one host.
 * `operator`: an operator removed or revoked it, live flows end too. `withdrawn`: the target refused what was promised.
 */
export const leaseReleased = z.strictObject({
  mappingId: z.string(),
  claimKey: z.string(),
  reason: z.enum(["client", "replaced", "operator", "withdrawn"]),
});

export const leaseExpired = z.strictObject({ mappingId: z.string(), claimKey: z.string() });
