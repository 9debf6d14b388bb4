import { z } from "zod";
import { givenName } from "../../events/fields.ts";
import { tokenScope } from "../../events/account.ts";
import { seq, time } from "./fields.ts";

/** Long enough that a third of a second a guess is too slow (NIST SP 800-63B §3.1.1.2); what it is made of is free. */
const newPassword = z.string().min(10).max(256).describe("10 characters or more");
const anyPassword = z.string().min(1).max(1024);
const code = z
  .string()
  .regex(/^\d{6}$/, "six digits, as the authenticator app shows them")
  .describe("six digits of the authenticator app");
/** In a session only; the socket has shown enough. */
const current = anyPassword.optional().describe("your password once more, in a session");

export const signInBody = z.strictObject({ password: anyPassword, code: code.nullish() });
export const passwordBody = z.strictObject({ password: newPassword, current });
export const linkRedeem = z.strictObject({ token: z.string().min(1).max(256) });
export const redeemBody = linkRedeem.extend({ password: newPassword });
export const personBody = z.strictObject({ current });
export const totpBody = z.strictObject({ code });
export const tokenBody = z.strictObject({
  name: givenName,
  scopes: z.array(tokenScope).min(1).max(3).default(["read"]),
  /** Seconds. */
  lifetime: z.number().int().positive().max(315_360_000).nullable().describe("seconds; null: without end"),
});

export const sessionSchema = z
  .strictObject({
    id: z.string(),
    address: z.string(),
    userAgent: z.string(),
    createdAt: time,
    lastSeenAt: time,
    expiresAt: time.describe("if it is not used again"),
    current: z.boolean().describe("the one this was asked by"),
  })
  .meta({ id: "Session" });
export type SessionDocument = z.infer<typeof sessionSchema>;

export const redeemed = z
  .strictObject({ session: sessionSchema.nullable().describe("null: sign in with the password and a code") })
  .meta({ id: "LinkRedeemed" });

export const accountSchema = z
  .strictObject({
    password: z.boolean().describe("one is set; before that the token in the data directory counts"),
    passwordSetAt: time.nullable(),
    totp: z.boolean().describe("a sign-in needs a code"),
    linkExpiresAt: time.nullable().describe("of the one-time link; null if there is none"),
  })
  .meta({ id: "Account" });
export type AccountDocument = z.infer<typeof accountSchema>;

export const oneTimeLink = z
  .strictObject({ url: z.string().describe("shown once"), expiresAt: time, caFingerprint: z.string().nullable() })
  .meta({ id: "OneTimeLink" });
export type LinkDocument = z.infer<typeof oneTimeLink>;

export const enrolmentSchema = z
  .strictObject({
    secret: z.string().describe("base32, to be typed"),
    uri: z.string().describe("to be shown as a QR code"),
  })
  .meta({ id: "TotpEnrolment" });
export type EnrolmentDocument = z.infer<typeof enrolmentSchema>;

export const tokenSchema = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    scopes: z.array(tokenScope),
    createdAt: time,
    expiresAt: time.nullable(),
    lastUsedAt: time.nullable().describe("since the controller started"),
  })
  .meta({ id: "Token" });
export type TokenDocument = z.infer<typeof tokenSchema>;

export const tokenCreatedSchema = z
  .strictObject({
    seq,
    token: tokenSchema,
    secret: z.string().nullable().describe("what to send as Bearer; shown once, null when a request is repeated"),
  })
  .meta({ id: "TokenCreated" });
export type TokenCreatedDocument = z.infer<typeof tokenCreatedSchema>;
