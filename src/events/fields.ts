import { z } from "zod";
import { nameText } from "../lib/domain-name.ts";
import { canonicalIpv6 } from "../lib/ipv6.ts";
import { WIREGUARD_KEY } from "../lib/wireguard-key.ts";

/** Field schemas that several events share. */

export const ipv4 = z.ipv4();
export const ipv6 = z.ipv6().refine((text) => canonicalIpv6(text) === text, "must be written as RFC 5952 has it");
/** Of a host of either family. */
export const hostAddress = z.union([ipv4, ipv6]);
/** "192.168.7.1/24": an address with its prefix length. */
export const cidr = z.union([z.cidrv4(), z.cidrv6()]);
export const port = z.number().int().min(1).max(65535);
export const transport = z.enum(["tcp", "udp"]);
export type Transport = z.infer<typeof transport>;
/** Linux interface name (IFNAMSIZ 16 with its NUL); quotes and spaces could leave a ruleset's string. */
export const interfaceName = z.string().regex(/^[A-Za-z0-9_.-]{1,15}$/);
/** Gateway time in Unix milliseconds. */
export const instant = z.number().int().nonnegative();
/** Seconds. */
export const lifetime = z.number().int().positive().max(0xffffffff);
/** Who asked for a mapping, and how. */
export const claimSource = z.enum(["pcp", "natpmp", "upnp", "manual"]);
export const nonce = z.string().regex(/^[0-9a-f]{24}$/);
export const label = z
  .string()
  .max(64)
  .regex(/^[^\p{Cc}]*$/u, "control characters are not allowed");
/** A name an operator gives: shown, searched, never part of a path or a rule. */
export const objectName = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[^\p{Cc}\s](?:[^\p{Cc}]*[^\p{Cc}\s])?$/u, "no control characters, and no spaces around it");
/** Whether a text looks like what it is: nothing turns the direction of what follows, and no half of a character. */
const SHOWN = /^[^\p{Bidi_Control}\p{Cs}]*$/u;
/**
 * What is given from now on. Apart from `objectName` and `label`, as records of earlier versions hold what was not
 * looked at so closely, and have to be read.
 */
export const givenName = objectName.regex(SHOWN, "no control characters of writing direction, no broken characters");
export const givenLabel = label.regex(SHOWN, "no control characters of writing direction, no broken characters");
/** Name of the declaration that an object was made by; one that nobody declared has none. */
export const managedBy = objectName.optional();
/** A device's name is a DNS label too (RFC 1123 §2.1). */
export const hostLabel = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, "letters, digits and hyphens, as in nas or front-door");
/** A name of the DNS as text: lower case, presentation form, without the last dot. */
export const domainName = z
  .string()
  .max(1024)
  .refine((text) => nameText(text) === text, "must be a name in lower case, without a dot at its end");
/**
 * A TLS server name (RFC 6066 §3), by which one of several hosts behind an external port is meant: exact, or all names
 * that are one label longer than what follows the star (RFC 6125 §6.4.3).
 */
export const serverName = z
  .string()
  .max(253)
  .regex(/^(?:\*\.)?[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/);
/** A WAN: an interface, for its first public address, or one address of a WAN interface. */
export const wanName = z.union([ipv4, interfaceName]);
/** By whom an interface's default route leads on: a router, or nobody on a point-to-point link. */
export const routeGateway = z.union([ipv4, z.literal("link")]);
export type RouteGateway = z.infer<typeof routeGateway>;
/** A WireGuard key: 32 bytes in base64. */
export const wireguardKey = z.string().regex(WIREGUARD_KEY, "32 bytes in base64");
/** Where sealed material is; never the material. */
export const secretId = z.string().regex(/^s[0-9a-f]{32}$/);

/** The same fields, each of which may be left out. */
export function optionalFields<Shape extends z.ZodRawShape>(
  shape: Shape,
): { [Key in keyof Shape]: z.ZodOptional<Shape[Key]> } {
  const entries = Object.entries(shape).map(([key, schema]) => [key, (schema as z.ZodType).optional()]);
  return Object.fromEntries(entries) as { [Key in keyof Shape]: z.ZodOptional<Shape[Key]> };
}
