import { z } from "zod";
import { instant, objectName, secretId } from "./fields.ts";

/** What a token may do; each includes the ones before it. */
export const tokenScope = z.enum(["read", "operate", "admin"]);
export type TokenScope = z.infer<typeof tokenScope>;

const tokenId = z.string().regex(/^k[0-9a-f]{12}$/);

/** `rehashed`: the same password, stored at today's cost. */
export const passwordSet = z.strictObject({ secretId, reason: z.enum(["changed", "link", "rehashed"]) });

/** A one-time link that lets who opens it set the password; the secret is its hash. The last one made is the one that counts. */
export const signInLinkIssued = z.strictObject({ secretId, expiresAt: instant });

export const totpEnabled = z.strictObject({ secretId });
export const totpDisabled = z.strictObject({});

/** For programs. The secret is the token's hash: the token itself is shown once and kept nowhere. */
export const tokenCreated = z.strictObject({
  id: tokenId,
  name: objectName,
  scopes: z.array(tokenScope).min(1).max(3),
  /** Gateway time; null: no end. */
  expiresAt: instant.nullable(),
  secretId,
});
export type TokenCreated = z.infer<typeof tokenCreated>;
export const tokenRevoked = z.strictObject({ id: tokenId });

/** Our own certificate authority: the certificate is public, the secret is its private key. */
export const authorityCreated = z.strictObject({ certificate: z.string().min(1).max(4096), secretId });
