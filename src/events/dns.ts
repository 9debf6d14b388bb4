import { z } from "zod";
import { deviceId } from "./device.ts";
import { domainName, instant, lifetime, managedBy, optionalFields } from "./fields.ts";

/** Stable, derived from the request: "r" and 12 hex digits. */
export const recordId = z.string().regex(/^r[0-9a-f]{12}$/);

/** Seconds; RFC 2181 §8 says 31 bits, and what is longer than a day is as long as a day. */
export const TTL_MAX = 86_400;
const ttl = z.number().int().min(0).max(TTL_MAX);

/** "A", "HTTPS", "TYPE65280". */
export const recordType = z.string().regex(/^[A-Z][A-Z0-9-]{0,15}$/);
/** RDATA in canonical presentation form. */
const value = z.string().max(65_535 * 4);

/** A view: a subnet's id, or `lan:<interface>`. */
export const viewId = z.string().regex(/^(?:n[0-9a-f]{12}|lan:[A-Za-z0-9_.-]{1,15})$/);

const editable = { ttl, value };

/** What a device's DNS UPDATE (RFC 2136) came to: all of it, or nothing. */
export const dnsUpdated = z.strictObject({
  device: deviceId,
  /** Seconds granted to what it added and to what it retimed (RFC 9664). */
  lifetime,
  expiresAt: instant,
  removed: z.array(recordId),
  added: z.array(z.strictObject({ id: recordId, name: domainName, type: recordType, ...editable })),
  /** Records of its own that have another TTL or a longer life now. */
  retimed: z.array(z.strictObject({ id: recordId, ttl })),
});
export type DnsUpdated = z.infer<typeof dnsUpdated>;

/** An operator's record; or one that an undo gives back to the device it was of. */
export const recordAdded = z.strictObject({
  id: recordId,
  name: domainName,
  type: recordType,
  ...editable,
  /** Null: an operator's. */
  device: deviceId.nullable(),
  /** Who sees the name; null: everyone, or for a device's name the view that the device is in. */
  views: z.array(viewId).min(1).max(256).nullable(),
  lifetime: lifetime.nullable(),
  expiresAt: instant.nullable(),
  managedBy,
});

/** An operator's edit; only the fields that changed. The TTL is that of all records of the name and type (RFC 2181 §5.2). */
export const recordChanged = z.strictObject({ id: recordId, ...optionalFields(editable) });

/**
 * Why a record ended. `operator`: removed by hand. `expired`: its lease was not renewed. `device`: it went with its device.
 * `right`: the device may not publish that name any more.
 */
export const recordRemoved = z.strictObject({
  id: recordId,
  reason: z.enum(["operator", "expired", "device", "right"]),
});

/** Deadlines that repeated updates moved since they were last written, as `leases.renewed` has them of ports. */
export const recordsRenewed = z.strictObject({
  deadlines: z.array(z.strictObject({ id: recordId, expiresAt: instant })).min(1),
});

/** An operator's yes to a name, and to all below it, that a device asked for; it holds until it is withdrawn. */
export const nameAllowed = z.strictObject({ device: deviceId, name: domainName });
export const nameWithdrawn = z.strictObject({ device: deviceId, name: domainName });
