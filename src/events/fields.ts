import { z } from "zod";

/** Field schemas that several events share. */

export const ipv4 = z.ipv4();
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
export type ClaimSource = z.infer<typeof claimSource>;
export const nonce = z.string().regex(/^[0-9a-f]{24}$/);
export const label = z
  .string()
  .max(64)
  .regex(/^[^\p{Cc}]*$/u, "control characters are not allowed");
